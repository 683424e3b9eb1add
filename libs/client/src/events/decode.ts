import {
  CheckpointRegistered,
  IncidentChanged,
} from '@serverless-ai/contracts/events/v1/fault_tolerance'
import { JobSubmitted, LaunchPrepared } from '@serverless-ai/contracts/events/v1/mediator'
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
import { EVENTS } from '@serverless-ai/contracts/names'
import type { PublicEvent } from './event.ts'

interface Codec<T> {
  decode(payload: Uint8Array): T
}

/** A decoder that says by its result's `name` what it has read. */
function reader<N extends string, T>(name: N, codec: Codec<T>) {
  return (payload: Uint8Array): { readonly name: N; readonly value: T } => ({
    name,
    value: codec.decode(payload),
  })
}

const READERS = {
  CheckpointRegistered: reader('CheckpointRegistered', CheckpointRegistered),
  DevicesFreed: reader('DevicesFreed', DevicesFreed),
  GangPlaced: reader('GangPlaced', GangPlaced),
  GangReleased: reader('GangReleased', GangReleased),
  IncidentChanged: reader('IncidentChanged', IncidentChanged),
  JobStateChanged: reader('JobStateChanged', JobStateChanged),
  JobSubmitted: reader('JobSubmitted', JobSubmitted),
  LaunchPrepared: reader('LaunchPrepared', LaunchPrepared),
  NodeChanged: reader('NodeChanged', NodeChanged),
  NodeLost: reader('NodeLost', NodeLost),
  QueueChanged: reader('QueueChanged', QueueChanged),
  TaskExited: reader('TaskExited', TaskExited),
  TaskReported: reader('TaskReported', TaskReported),
  TaskStarted: reader('TaskStarted', TaskStarted),
}

type EventName = keyof typeof READERS

/** A public event's message with its short name, for a `switch`. */
export type DecodedEvent = ReturnType<(typeof READERS)[EventName]>

/** Short names of all public events that this version knows. */
export const EVENT_NAMES: readonly string[] = Object.keys(READERS)

const isEventName = (name: string): name is EventName => Object.hasOwn(READERS, name)

/**
 * The event's message; undefined for a type that this version does not know: leave it out, but let
 * it move the mark. Throws when the payload is no message of its type.
 */
export function decodeEvent(
  event: Pick<PublicEvent, 'type' | 'payload'>,
): DecodedEvent | undefined {
  if (!event.type.startsWith(EVENTS)) return undefined
  const name = event.type.slice(EVENTS.length)
  return isEventName(name) ? READERS[name](event.payload) : undefined
}
