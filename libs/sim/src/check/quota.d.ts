import type { WatcherFactory } from './watcher.ts';
/** Sums up what each queue holds. */
export declare const quota: WatcherFactory;
//# sourceMappingURL=quota.d.ts.map