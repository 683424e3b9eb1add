/** Public events, decoded once for all checkers. */
import {
  CheckpointRegistered,
  IncidentChanged,
} from '@serverless-ai/contracts/events/v1/fault_tolerance'
import { LaunchPrepared } from '@serverless-ai/contracts/events/v1/mediator'
import {
  DevicesFreed,
  NodeChanged,
  NodeLost,
  TaskExited,
  TaskReported,
  TaskStarted,
} from '@serverless-ai/contracts/events/v1/pool_manager'
import {
  GangPlaced,
  GangReleased,
  JobStateChanged,
  QueueChanged,
} from '@serverless-ai/contracts/events/v1/scheduler'

/** What a public event says. */
export type PublicBody =
  | { readonly is: 'QueueChanged'; readonly value: QueueChanged }
  | { readonly is: 'JobStateChanged'; readonly value: JobStateChanged }
  | { readonly is: 'GangPlaced'; readonly value: GangPlaced }
  | { readonly is: 'GangReleased'; readonly value: GangReleased }
  | { readonly is: 'LaunchPrepared'; readonly value: LaunchPrepared }
  | { readonly is: 'NodeChanged'; readonly value: NodeChanged }
  | { readonly is: 'NodeLost'; readonly value: NodeLost }
  | { readonly is: 'TaskStarted'; readonly value: TaskStarted }
  | { readonly is: 'TaskExited'; readonly value: TaskExited }
  | { readonly is: 'TaskReported'; readonly value: TaskReported }
  | { readonly is: 'DevicesFreed'; readonly value: DevicesFreed }
  | { readonly is: 'IncidentChanged'; readonly value: IncidentChanged }
  | { readonly is: 'CheckpointRegistered'; readonly value: CheckpointRegistered }
  | { readonly is: 'other' }

const NAMES: ReadonlyMap<string, PublicBody['is']> = new Map(
  (
    [
      'QueueChanged',
      'JobStateChanged',
      'GangPlaced',
      'GangReleased',
      'LaunchPrepared',
      'NodeChanged',
      'NodeLost',
      'TaskStarted',
      'TaskExited',
      'TaskReported',
      'DevicesFreed',
      'IncidentChanged',
      'CheckpointRegistered',
    ] as const
  ).map((name) => [`serverlessai.events.v1.${name}`, name]),
)

/** Message of a public event. Throws when the payload is none of its type. */
export function decodeBody(type: string, payload: Uint8Array): PublicBody {
  switch (NAMES.get(type)) {
    case 'QueueChanged':
      return { is: 'QueueChanged', value: QueueChanged.decode(payload) }
    case 'JobStateChanged':
      return { is: 'JobStateChanged', value: JobStateChanged.decode(payload) }
    case 'GangPlaced':
      return { is: 'GangPlaced', value: GangPlaced.decode(payload) }
    case 'GangReleased':
      return { is: 'GangReleased', value: GangReleased.decode(payload) }
    case 'LaunchPrepared':
      return { is: 'LaunchPrepared', value: LaunchPrepared.decode(payload) }
    case 'NodeChanged':
      return { is: 'NodeChanged', value: NodeChanged.decode(payload) }
    case 'NodeLost':
      return { is: 'NodeLost', value: NodeLost.decode(payload) }
    case 'TaskStarted':
      return { is: 'TaskStarted', value: TaskStarted.decode(payload) }
    case 'TaskExited':
      return { is: 'TaskExited', value: TaskExited.decode(payload) }
    case 'TaskReported':
      return { is: 'TaskReported', value: TaskReported.decode(payload) }
    case 'DevicesFreed':
      return { is: 'DevicesFreed', value: DevicesFreed.decode(payload) }
    case 'IncidentChanged':
      return { is: 'IncidentChanged', value: IncidentChanged.decode(payload) }
    case 'CheckpointRegistered':
      return { is: 'CheckpointRegistered', value: CheckpointRegistered.decode(payload) }
    default:
      return { is: 'other' }
  }
}
