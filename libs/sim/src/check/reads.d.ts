import type { WatcherFactory } from './watcher.ts';
/** Compares reads with the mediator's log. */
export declare const reads: WatcherFactory;
//# sourceMappingURL=reads.d.ts.map