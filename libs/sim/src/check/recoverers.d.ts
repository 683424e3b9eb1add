import type { WatcherFactory } from './watcher.ts';
/** Compares decisions of fault tolerance with what the scheduler does. */
export declare const recoverers: WatcherFactory;
//# sourceMappingURL=recoverers.d.ts.map