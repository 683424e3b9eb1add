/**
 * The topics of public events: what a service publishes is what its effective commits say, in
 * order, copies aside; and in the end all of it (promise P5).
 */
import type { Landed } from '../world/types.ts';
import type { CommitSeen, OutsideObservation } from './seen.ts';
import type { TellAlarm } from './watcher.ts';
/** Compares topics with logs. */
export declare class Topics {
    #private;
    constructor(alarm: TellAlarm);
    /** Takes an effective commit. */
    committed({ service, commit }: CommitSeen): void;
    /** Takes a record of an events topic; others are nobody's business here. */
    landed(record: Landed): void;
    observe(observation: OutsideObservation): void;
}
//# sourceMappingURL=topic.d.ts.map