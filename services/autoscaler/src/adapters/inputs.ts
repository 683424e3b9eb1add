import { Reason_Code } from '@serverless-ai/contracts/common/v1/common'
import { ServiceDeclared, ServiceEnded } from '@serverless-ai/contracts/events/v1/mediator'
import { NodeChanged, NodeLost } from '@serverless-ai/contracts/events/v1/pool_manager'
import { ForecastChanged } from '@serverless-ai/contracts/events/v1/resource_profiler'
import {
  CheckpointRequested,
  GangPlaced,
  GangReleased,
  JobStateChanged,
  QueueChanged,
} from '@serverless-ai/contracts/events/v1/scheduler'
import { ActionRequested, ObjectiveChanged } from '@serverless-ai/contracts/events/v1/sla_monitor'
import { EVENTS } from '@serverless-ai/contracts/names'
import {
  ActionStep_Action,
  Indicator,
  type Objective,
} from '@serverless-ai/contracts/objective/v1/objective'
import { Node_State } from '@serverless-ai/contracts/pool/v1/pool'
import { type InputSource, type PublicEvent, replacingSource } from '@serverless-ai/runtime'
import type { AutoscalerCommand, AutoscalerInput } from '../core/messages.ts'
import type { Clause, ForecastView, ObjectiveView } from '../core/model.ts'
import { scaleFromProto, settingsFromProto } from './from-proto.ts'

/**
 * Public events of the other services → commands of this core. Throws on what cannot be decoded:
 * the runtime parks it.
 */

/** Short name of what a job waits for; empty = nothing that is told. */
export function waitingOf(code: Reason_Code | undefined): string {
  switch (code) {
    case undefined:
    case Reason_Code.UNSPECIFIED:
      return ''
    case Reason_Code.CAPACITY_WAIT:
      return 'CAPACITY_WAIT'
    case Reason_Code.GANG_INCOMPLETE:
      return 'GANG_INCOMPLETE'
    case Reason_Code.QUOTA_WAIT:
      return 'QUOTA_WAIT'
    default:
      return 'OTHER'
  }
}

function placedFromProto(placed: GangPlaced): AutoscalerInput {
  const { jobId, gang, generation, nodes, nodeOfRank, perTask } = placed
  const counts = new Map<string, number>()
  for (const index of nodeOfRank) {
    const node = nodes[index] ?? ''
    counts.set(node, (counts.get(node) ?? 0) + 1)
  }
  const devicesEach = perTask?.devices ?? 0
  const holding = { jobId, gang, generation, devicesEach, ranks: [...counts] }
  return { type: 'NotePlaced', holding }
}

function fromScheduler(event: PublicEvent): AutoscalerInput | undefined {
  switch (event.type) {
    case `${EVENTS}JobStateChanged`: {
      const changed = JobStateChanged.decode(event.payload)
      const { jobId, tenant, queue, name, state, generation, reason } = changed
      const scale = changed.scale && scaleFromProto(changed.scale)
      const waiting = waitingOf(reason?.code)
      const base = { jobId, tenant, queue, name, state, generation, waiting }
      return { type: 'NoteJob', job: scale === undefined ? base : { ...base, scale } }
    }
    case `${EVENTS}QueueChanged`: {
      const { queue } = QueueChanged.decode(event.payload)
      if (queue === undefined) throw new Error('QueueChanged without a queue')
      const devicesMax = queue.maximum?.devices ?? 0
      return { type: 'NoteQueue', queue: queue.name, devicesMax }
    }
    case `${EVENTS}GangPlaced`:
      return placedFromProto(GangPlaced.decode(event.payload))
    case `${EVENTS}GangReleased`: {
      const { jobId, gang, throughGeneration } = GangReleased.decode(event.payload)
      return { type: 'NoteReleased', jobId, gang, through: throughGeneration }
    }
    case `${EVENTS}CheckpointRequested`: {
      const { jobId, generation } = CheckpointRequested.decode(event.payload)
      return { type: 'NoteResizing', jobId, generation }
    }
    default:
      return undefined
  }
}

function fromMediator(event: PublicEvent): AutoscalerInput | undefined {
  switch (event.type) {
    case `${EVENTS}ServiceDeclared`: {
      const declared = ServiceDeclared.decode(event.payload)
      const { jobId, tenant, name, concurrency, devicesPerReplica, objectives } = declared
      const service = {
        concurrency,
        class: declared.class,
        devicesEach: devicesPerReplica,
        objectives,
        settings: settingsFromProto(declared.scaling),
      }
      return { type: 'DeclareService', jobId, tenant, name, service }
    }
    case `${EVENTS}ServiceEnded`:
      return { type: 'EndService', jobId: ServiceEnded.decode(event.payload).jobId }
    default:
      return undefined
  }
}

function fromPool(event: PublicEvent): AutoscalerInput | undefined {
  switch (event.type) {
    case `${EVENTS}NodeChanged`: {
      const { node } = NodeChanged.decode(event.payload)
      if (node === undefined) throw new Error('NodeChanged without node')
      const devices = (node.inventory?.devices ?? []).filter(({ healthy }) => healthy).length
      const ready = node.state === Node_State.READY
      return { type: 'NoteNode', nodeId: node.nodeId, node: { devices, ready } }
    }
    case `${EVENTS}NodeLost`: {
      const { nodeId } = NodeLost.decode(event.payload)
      return { type: 'NoteNode', nodeId, node: { devices: 0, ready: false } }
    }
    default:
      return undefined
  }
}

const INDICATORS: ReadonlyMap<Indicator, Clause['indicator']> = new Map([
  [Indicator.TTFT, 'ttft'],
  [Indicator.TPOT, 'tpot'],
  [Indicator.E2E, 'e2e'],
  [Indicator.AVAILABILITY, 'availability'],
])

/** An objective that replicas can help; undefined = it is of jobs. */
function objectiveOf(objective: Objective): ObjectiveView | undefined {
  const indicator = INDICATORS.get(objective.indicator)
  const { name, tenant, service, targetPpm, thresholdUs } = objective
  if (indicator === undefined) return undefined
  const missPpm = Math.max(1, 1_000_000 - targetPpm)
  const clause = { indicator, thresholdUs: Number(thresholdUs), missPpm }
  const view = { name, tenant, service, clause }
  return objective.class === '' ? view : { ...view, class: objective.class }
}

function fromObjectives(event: PublicEvent): AutoscalerInput | undefined {
  switch (event.type) {
    case `${EVENTS}ObjectiveChanged`: {
      const { objective, deleted } = ObjectiveChanged.decode(event.payload)
      if (objective === undefined) throw new Error('ObjectiveChanged without an objective')
      const { objectiveId } = objective
      const seen = deleted ? undefined : objectiveOf(objective)
      if (seen === undefined) return { type: 'NoteObjective', objectiveId }
      return { type: 'NoteObjective', objectiveId, objective: seen }
    }
    case `${EVENTS}ActionRequested`: {
      const { action } = ActionRequested.decode(event.payload)
      if (action?.step?.action !== ActionStep_Action.SCALE) return undefined
      const { actionId, objectiveId, tenant, service, withdrawnMs } = action
      const about = { actionId, objectiveId, tenant, service }
      return { type: 'NoteAction', ...about, holds: withdrawnMs === 0n }
    }
    default:
      return undefined
  }
}

/** Ahead of now; what is further ahead changes before it comes. */
const AHEAD_MAX_MS = 300_000
/** A forecast is followed when it did better than the newest value does, and often enough. */
const JUDGED_MIN = 10n

/** A forecast of arrivals that may be followed; undefined = none is. */
function forecastOf(changed: ForecastChanged): ForecastView | undefined {
  const bucketMs = Number(changed.bucketMs)
  const arrivals = changed.series.find(({ series }) => series === 'arrivals')
  const [first] = arrivals?.points ?? []
  if (arrivals === undefined || first === undefined || bucketMs <= 0) return undefined
  const proven = arrivals.quality.some(
    ({ judged, errorToNaive = 1 }) => judged >= JUDGED_MIN && errorToNaive < 1,
  )
  if (!proven) return undefined
  const points = arrivals.points.slice(0, Math.ceil(AHEAD_MAX_MS / bucketMs))
  const perSMilli = points.map(({ expected }) =>
    Math.max(0, Math.round((expected * 1_000_000) / bucketMs)),
  )
  return { atMs: Number(changed.atMs), bucketMs, startMs: Number(first.startMs), perSMilli }
}

function fromProfiler(event: PublicEvent): AutoscalerInput | undefined {
  if (event.type !== `${EVENTS}ForecastChanged`) return undefined
  const changed = ForecastChanged.decode(event.payload)
  const forecast = forecastOf(changed)
  const told = forecast === undefined ? {} : { forecast }
  return { type: 'NoteForecast', jobId: changed.jobId, ...told }
}

/** What the autoscaler listens to, besides the bus of measurements. */
export const inputs: readonly InputSource<AutoscalerCommand>[] = [
  replacingSource('mediator', fromMediator),
  replacingSource('scheduler', fromScheduler),
  replacingSource('pool-manager', fromPool),
  replacingSource('sla-monitor', fromObjectives),
  replacingSource('resource-profiler', fromProfiler),
]
