import type { WatcherFactory } from './watcher.ts';
/** Compares digests. */
export declare const digests: WatcherFactory;
//# sourceMappingURL=digests.d.ts.map