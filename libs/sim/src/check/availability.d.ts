import type { WatcherFactory } from './watcher.ts';
/** Sees that somebody takes over in time. */
export declare const availability: WatcherFactory;
//# sourceMappingURL=availability.d.ts.map