import {
  ScaleDecided,
  TargetEnded,
  TargetTracked,
} from '@serverless-ai/contracts/events/v1/autoscaler'
import {
  CheckpointRegistered,
  IncidentChanged,
} from '@serverless-ai/contracts/events/v1/fault_tolerance'
import {
  JobSubmitted,
  LaunchPrepared,
  ServiceDeclared,
  ServiceEnded,
} from '@serverless-ai/contracts/events/v1/mediator'
import {
  DevicesFreed,
  NodeChanged,
  NodeLost,
  TaskExited,
  TaskReadinessChanged,
  TaskReported,
  TaskStarted,
} from '@serverless-ai/contracts/events/v1/pool_manager'
import {
  ForecastChanged,
  ProfileChanged,
} from '@serverless-ai/contracts/events/v1/resource_profiler'
import {
  CheckpointRequested,
  GangDraining,
  GangPlaced,
  GangReleased,
  JobScaled,
  JobStateChanged,
  QueueChanged,
} from '@serverless-ai/contracts/events/v1/scheduler'
import {
  ActionRequested,
  ObjectiveBreached,
  ObjectiveChanged,
  ObjectiveRecovered,
  OutcomesCounted,
  StatementClosed,
  TelemetryCounted,
  TelemetrySourceChanged,
} from '@serverless-ai/contracts/events/v1/sla_monitor'
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
  ActionRequested: reader('ActionRequested', ActionRequested),
  CheckpointRegistered: reader('CheckpointRegistered', CheckpointRegistered),
  CheckpointRequested: reader('CheckpointRequested', CheckpointRequested),
  DevicesFreed: reader('DevicesFreed', DevicesFreed),
  ForecastChanged: reader('ForecastChanged', ForecastChanged),
  GangDraining: reader('GangDraining', GangDraining),
  GangPlaced: reader('GangPlaced', GangPlaced),
  GangReleased: reader('GangReleased', GangReleased),
  IncidentChanged: reader('IncidentChanged', IncidentChanged),
  JobScaled: reader('JobScaled', JobScaled),
  JobStateChanged: reader('JobStateChanged', JobStateChanged),
  JobSubmitted: reader('JobSubmitted', JobSubmitted),
  LaunchPrepared: reader('LaunchPrepared', LaunchPrepared),
  NodeChanged: reader('NodeChanged', NodeChanged),
  NodeLost: reader('NodeLost', NodeLost),
  ObjectiveBreached: reader('ObjectiveBreached', ObjectiveBreached),
  ObjectiveChanged: reader('ObjectiveChanged', ObjectiveChanged),
  ObjectiveRecovered: reader('ObjectiveRecovered', ObjectiveRecovered),
  OutcomesCounted: reader('OutcomesCounted', OutcomesCounted),
  ProfileChanged: reader('ProfileChanged', ProfileChanged),
  QueueChanged: reader('QueueChanged', QueueChanged),
  ScaleDecided: reader('ScaleDecided', ScaleDecided),
  ServiceDeclared: reader('ServiceDeclared', ServiceDeclared),
  ServiceEnded: reader('ServiceEnded', ServiceEnded),
  StatementClosed: reader('StatementClosed', StatementClosed),
  TargetEnded: reader('TargetEnded', TargetEnded),
  TargetTracked: reader('TargetTracked', TargetTracked),
  TaskExited: reader('TaskExited', TaskExited),
  TaskReadinessChanged: reader('TaskReadinessChanged', TaskReadinessChanged),
  TaskReported: reader('TaskReported', TaskReported),
  TaskStarted: reader('TaskStarted', TaskStarted),
  TelemetryCounted: reader('TelemetryCounted', TelemetryCounted),
  TelemetrySourceChanged: reader('TelemetrySourceChanged', TelemetrySourceChanged),
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
