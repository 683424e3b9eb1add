import type { Alarm, Observation } from './types.ts';
import type { CheckerOptions } from './watcher.ts';
export type * from './types.ts';
export type { CheckerOptions } from './watcher.ts';
/** Names of all checkers, as alarms carry them. */
export declare const CHECKER_NAMES: readonly string[];
/** All checkers of one run. */
export interface Checkers {
    /** Takes what happened, in the order in which it happened. */
    observe(observation: Observation): void;
    readonly names: readonly string[];
}
/** Makes all checkers; `alarm` is called for each breach, at the moment it is seen. */
export declare function createCheckers(alarm: (alarm: Alarm) => void, options?: Partial<CheckerOptions>): Checkers;
//# sourceMappingURL=index.d.ts.map