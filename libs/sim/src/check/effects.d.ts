import type { WatcherFactory } from './watcher.ts';
/** Follows effects in the logs. */
export declare const effects: WatcherFactory;
//# sourceMappingURL=effects.d.ts.map