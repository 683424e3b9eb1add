import type { WatcherFactory } from './watcher.ts';
/** Compares answers with logs. */
export declare const acknowledged: WatcherFactory;
//# sourceMappingURL=acknowledged.d.ts.map