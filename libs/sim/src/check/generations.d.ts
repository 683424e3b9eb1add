import type { WatcherFactory } from './watcher.ts';
/** Follows generations through all services. */
export declare const generations: WatcherFactory;
//# sourceMappingURL=generations.d.ts.map