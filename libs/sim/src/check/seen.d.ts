/** What the logs effectively say, as checkers are told. */
import type { PublicBody } from './events.ts';
import type { ClaimRecord, CommitRecord } from './record.ts';
import type { Observation } from './types.ts';
/** Where an effective record stands. */
export interface Place {
    readonly service: string;
    /** Position in the service's log. */
    readonly position: number;
    /** Virtual time at which it landed, ms. */
    readonly landedMs: number;
}
/** An effective claim. */
export interface ClaimSeen extends Place {
    readonly claim: ClaimRecord;
}
/** An effective commit. */
export interface CommitSeen extends Place {
    readonly commit: CommitRecord;
    /** Highest public seq of a source that was folded before this commit; 0 = none. */
    markBefore(source: string): number;
    /** Highest public seq of a source that is folded with this commit; 0 = none. */
    markAfter(source: string): number;
}
/** A public event of an effective commit. */
export interface EventSeen extends Place {
    readonly seq: number;
    readonly body: PublicBody;
    readonly commit: CommitSeen;
}
/** An observation that is no record. */
export type OutsideObservation = Exclude<Observation, {
    kind: 'landed';
}>;
//# sourceMappingURL=seen.d.ts.map