import type { WatcherFactory } from './watcher.ts';
/** Follows gangs through their generations. */
export declare const gangs: WatcherFactory;
//# sourceMappingURL=gangs.d.ts.map