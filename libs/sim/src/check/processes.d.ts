import type { WatcherFactory } from './watcher.ts';
/** Follows real processes. */
export declare const processes: WatcherFactory;
//# sourceMappingURL=processes.d.ts.map