import type { WatcherFactory } from './watcher.ts';
/** Two that lead one epoch, or one that leads an epoch that was never opened. */
export declare const leaders: WatcherFactory;
//# sourceMappingURL=leaders.d.ts.map