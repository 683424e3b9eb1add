/** Public events, decoded once for all checkers. */
import { CheckpointRegistered, IncidentChanged } from '@serverless-ai/contracts/events/v1/fault_tolerance';
import { LaunchPrepared } from '@serverless-ai/contracts/events/v1/mediator';
import { DevicesFreed, NodeChanged, NodeLost, TaskExited, TaskReported, TaskStarted } from '@serverless-ai/contracts/events/v1/pool_manager';
import { GangPlaced, GangReleased, JobStateChanged, QueueChanged } from '@serverless-ai/contracts/events/v1/scheduler';
/** What a public event says. */
export type PublicBody = {
    readonly is: 'QueueChanged';
    readonly value: QueueChanged;
} | {
    readonly is: 'JobStateChanged';
    readonly value: JobStateChanged;
} | {
    readonly is: 'GangPlaced';
    readonly value: GangPlaced;
} | {
    readonly is: 'GangReleased';
    readonly value: GangReleased;
} | {
    readonly is: 'LaunchPrepared';
    readonly value: LaunchPrepared;
} | {
    readonly is: 'NodeChanged';
    readonly value: NodeChanged;
} | {
    readonly is: 'NodeLost';
    readonly value: NodeLost;
} | {
    readonly is: 'TaskStarted';
    readonly value: TaskStarted;
} | {
    readonly is: 'TaskExited';
    readonly value: TaskExited;
} | {
    readonly is: 'TaskReported';
    readonly value: TaskReported;
} | {
    readonly is: 'DevicesFreed';
    readonly value: DevicesFreed;
} | {
    readonly is: 'IncidentChanged';
    readonly value: IncidentChanged;
} | {
    readonly is: 'CheckpointRegistered';
    readonly value: CheckpointRegistered;
} | {
    readonly is: 'other';
};
/** Message of a public event. Throws when the payload is none of its type. */
export declare function decodeBody(type: string, payload: Uint8Array): PublicBody;
//# sourceMappingURL=events.d.ts.map