import type { WatcherFactory } from './watcher.ts';
/** Follows what is granted and freed. */
export declare const devices: WatcherFactory;
//# sourceMappingURL=devices.d.ts.map