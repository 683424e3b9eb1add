import type { Landed } from '../world/types.ts';
import type { ClaimSeen, CommitSeen } from './seen.ts';
import type { TellAlarm } from './watcher.ts';
/** Whom effective records go to. */
export interface EffectiveSink {
    claimed(claim: ClaimSeen): void;
    committed(commit: CommitSeen): void;
}
/** Judges the records of all logs of the cell. */
export declare class EffectiveLogs {
    #private;
    constructor(alarm: TellAlarm, sink: EffectiveSink);
    /** Takes a record; false = it belongs to another kind of topic. */
    landed(record: Landed): boolean;
    /** Position of the last effective record of a service; -1 = none. */
    effectiveEnd(service: string, partition?: number): number;
    /** Last public seq of a service's effective log. */
    publicSeq(service: string, partition?: number): number;
}
//# sourceMappingURL=effective-log.d.ts.map