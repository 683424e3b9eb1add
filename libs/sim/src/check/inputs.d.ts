import type { WatcherFactory } from './watcher.ts';
/** Follows marks and parked inputs. */
export declare const inputs: WatcherFactory;
//# sourceMappingURL=inputs.d.ts.map