/** Names in messages: the same everywhere, so that a reader can search for them. */
import type { Place } from './seen.ts';
import type { TaskKey } from './types.ts';
/** Names of the services whose logs are looked at. */
export declare const SERVICES: {
    readonly scheduler: 'scheduler';
    readonly pool: 'pool-manager';
    readonly mediator: 'mediator';
    readonly faults: 'fault-tolerance';
};
/** `scheduler log 17 (landed at 12.345 s)`. */
export declare const placeText: ({ service, position, landedMs }: Place) => string;
/** `12.345 s`. */
export declare const secondsText: (ms: number) => string;
/** Key of a gang in maps. */
export declare const gangKey: (jobId: string, gang: number) => string;
/** Key of an execution in maps. */
export declare const taskKey: (key: TaskKey) => string;
/** `j-0-1 gang 0 generation 2 rank 3`. */
export declare const taskText: (key: TaskKey) => string;
/** `j-0-1 gang 0 generation 2`. */
export declare const generationText: (jobId: string, gang: number, generation: number) => string;
/** True for a state of the scheduler that nothing may change. */
export declare const isEnd: (state: string) => boolean;
//# sourceMappingURL=names.d.ts.map