import type { WatcherFactory } from './watcher.ts';
/** Follows the exclusive tasks that really run. */
export declare const exclusive: WatcherFactory;
//# sourceMappingURL=exclusive.d.ts.map