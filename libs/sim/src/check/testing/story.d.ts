import { GangPlaced } from '@serverless-ai/contracts/events/v1/scheduler';
import type { TaskKey } from '../types.ts';
import { Logs } from './logs.ts';
/** Where a generation goes: per rank its node and its devices. */
export type Ranks = readonly (readonly [node: string, ...devices: readonly number[]])[];
declare const SERVICES: readonly ['mediator', 'scheduler', 'pool-manager', 'fault-tolerance'];
type Service = (typeof SERVICES)[number];
/** The generation of a task. */
export interface Gen {
    readonly jobId: string;
    readonly gang: number;
    readonly generation: number;
}
/** Generation `generation` of the only gang of `jobId`. */
export declare const gen: (generation: number, jobId?: string) => Gen;
/** Tells a cell. Every step is committed by its owner, who has read all that was said before. */
export declare class Story extends Logs {
    #private;
    /** Marks of all that a service may know by now. */
    marks(service: Service): Record<string, number>;
    queue(name: string, maximumDevices: number): void;
    node(nodeId: string, state?: 'READY' | 'DISCONNECTED' | 'LOST', devices?: number): void;
    nodeLost(nodeId: string): void;
    /** Submitted by a user, taken by both services, and answered. */
    submit(jobId?: string, more?: {
        tasks?: number;
        exclusive?: boolean;
        queue?: string;
    }): void;
    take(jobId: string, requestId: string): number;
    queueJob(jobId: string, more?: {
        tasks?: number;
        exclusive?: boolean;
        queue?: string;
        devices?: number;
    }): void;
    enqueued(jobId: string): void;
    answer(requestId: string, jobId: string, more?: {
        ok?: boolean;
        reason?: string;
        position?: string;
        call?: 'submit' | 'cancel';
    }): void;
    read(jobId: string, state: string, more?: {
        position?: string;
        found?: boolean;
    }): void;
    /** The scheduler tells a state, and the mediator shows it. */
    state(jobId: string, state: string, generation?: number): void;
    shown(jobId: string, state: string): void;
    place(of: Gen, ranks: Ranks, more?: {
        change?: Partial<GangPlaced>;
        mark?: number;
    }): void;
    launch(of: Gen): void;
    /** A process really begins, and the pool manager is told of it. */
    start(of: Gen, rank: number): void;
    /** A process really begins. */
    begin(key: TaskKey, more?: {
        node?: string;
        devices?: readonly number[];
    }): void;
    /** A process really ends. */
    end(key: TaskKey): void;
    /** The pool manager tells of a task. */
    told(name: 'TaskStarted' | 'TaskExited' | 'TaskReported', of: Gen, rank: number): void;
    /** All generations up to this one are released. */
    release(of: Gen, cause?: string, more?: {
        incidentId?: string;
        recovers?: number;
    }): void;
    /** Devices of ranks are told to be free; by default of all of them, node by node. */
    free(of: Gen, only?: readonly number[], more?: {
        node?: string;
    }): void;
    incident(of: Gen, decision: string, incidentId?: string): void;
    checkpoint(of: Gen, step: bigint): void;
    /** Everything is published, and all has to be in order. */
    settle(): void;
    /** A cell with a queue of 8 devices and three nodes of 4. */
    static calm(): Story;
    /** A generation of two ranks is placed on n1 and started. */
    run(of: Gen, ranks?: Ranks): void;
    /** All its tasks end well, and the job with them. */
    succeed(of: Gen): void;
    /** A task fails, and fault tolerance has the scheduler go on with the next generation. */
    fail(of: Gen): void;
}
export {};
//# sourceMappingURL=story.d.ts.map