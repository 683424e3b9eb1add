/**
 * What the public events and the nodes have said so far, folded once for all checkers: jobs, gangs
 * and their generations, nodes, tasks that really run. It judges nothing.
 */
import type { Resources } from '@serverless-ai/contracts/common/v1/common';
import type { GangPlaced } from '@serverless-ai/contracts/events/v1/scheduler';
import type { CommitSeen, EventSeen, OutsideObservation, Place } from './seen.ts';
import type { TaskKey } from './types.ts';
/** An amount of the schedulable resources. */
export interface Amount {
    readonly devices: number;
    readonly cpuMillis: number;
    readonly memoryMib: number;
}
/** What a job was queued as. */
export interface JobSeen {
    readonly jobId: string;
    readonly queue: string;
    readonly tasks: number;
    readonly perTask: Amount;
    readonly rank0Ports: number;
    readonly exclusive: boolean;
    /** As the scheduler last said; empty before its first event. */
    state: string;
    /** Code of the reason why it waits; 0 = none. */
    reason: number;
    message: string;
    changed: Place;
    readonly gangs: Map<number, GangSeen>;
}
/** A gang and its generations. */
export interface GangSeen {
    /** The newest generation; 0 = none. */
    generation: number;
    releasedThrough: number;
    readonly releases: {
        readonly through: number;
        readonly seq: number;
        readonly at: Place;
    }[];
    readonly placements: Map<number, Placement>;
}
/** A generation with what it was given. Index i is rank i. */
export interface Placement {
    readonly jobId: string;
    readonly gang: number;
    readonly generation: number;
    readonly nodes: readonly string[];
    readonly devices: readonly (readonly number[])[];
    readonly ports: readonly number[];
    readonly perTask: Amount;
    readonly exclusive: boolean;
    /** Public seq of the scheduler's event. */
    readonly seq: number;
    readonly at: Place;
    /** Ranks whose devices were told to be free. */
    readonly freed: Set<number>;
}
/** A node as the pool manager tells it. */
export interface NodeSeen {
    readonly name: string;
    /** Indexes of all devices it ever told. */
    readonly devices: Set<number>;
    cpuMillis: number;
    memoryMib: number;
    /** Changes of its state, by public seq of the pool manager. */
    readonly states: {
        readonly seq: number;
        readonly state: string;
        readonly at: Place;
    }[];
}
/** A task that really runs. */
export interface RunningTask {
    readonly key: TaskKey;
    readonly node: string;
    readonly devices: readonly number[];
    readonly exclusive: boolean;
    readonly sinceMs: number;
}
/** Amount of a message; absent = nothing. */
export declare function amountOf(resources: Resources | undefined): Amount;
/** Generation of an event of the scheduler, rank by rank. */
export declare function placementOf(value: GangPlaced, at: EventSeen): Placement;
/** Folded by the hub after the checkers were told. */
export declare class Ledger {
    #private;
    readonly jobs: Map<string, JobSeen>;
    readonly nodes: Map<string, NodeSeen>;
    /** By execution. */
    readonly running: Map<string, RunningTask>;
    gang(jobId: string, gang: number): GangSeen | undefined;
    placement(key: Omit<TaskKey, 'rank'>): Placement | undefined;
    /** State of a node as of a public seq of the pool manager; undefined = not known by then. */
    nodeStateAt(node: string, seq: number): NodeSeen['states'][number] | undefined;
    /**
     * Newest generation that a reader of the scheduler's events up to `seq` knows to be over, and
     * where it was said; undefined = none.
     */
    overAt(gang: GangSeen, seq: number): {
        through: number;
        at: Place;
    } | undefined;
    applyCommit(seen: CommitSeen): void;
    applyEvent(event: EventSeen): void;
    applyObservation(observation: OutsideObservation): void;
}
//# sourceMappingURL=ledger.d.ts.map