import type { WatcherFactory } from './watcher.ts';
/** Looks at the ends. */
export declare const ends: WatcherFactory;
//# sourceMappingURL=ends.d.ts.map