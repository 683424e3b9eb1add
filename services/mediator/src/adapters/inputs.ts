import { CheckpointRegistered } from '@serverless-ai/contracts/events/v1/fault_tolerance'
import { TaskReadinessChanged, TaskReported } from '@serverless-ai/contracts/events/v1/pool_manager'
import {
  GangDraining,
  GangPlaced,
  GangReleased,
  JobStateChanged,
} from '@serverless-ai/contracts/events/v1/scheduler'
import { EVENTS } from '@serverless-ai/contracts/names'
import type { InputSource, PublicEvent } from '@serverless-ai/runtime'
import type {
  MediatorCommand,
  PlacedGang,
  ReleasedGang,
  ReplicaSeen,
  SchedulerView,
} from '../core/messages.ts'
import type { Checkpoint, Progress } from '../core/model.ts'
import { stateFromName } from './job.ts'
import { reasonFromProto } from './reason.ts'
import { scaleFromProto } from './scale.ts'
import { updateFromProto } from './update.ts'

const STATE_CHANGED = `${EVENTS}JobStateChanged`
const GANG_PLACED = `${EVENTS}GangPlaced`
const GANG_RELEASED = `${EVENTS}GangReleased`
const GANG_DRAINING = `${EVENTS}GangDraining`
const TASK_READINESS = `${EVENTS}TaskReadinessChanged`
const TASK_REPORTED = `${EVENTS}TaskReported`
const CHECKPOINT_REGISTERED = `${EVENTS}CheckpointRegistered`

function viewOf(payload: Uint8Array): SchedulerView {
  const message = JobStateChanged.decode(payload)
  const state = stateFromName(message.state)
  if (state === undefined) throw new TypeError(`unknown job state ${message.state}`)
  return {
    jobId: message.jobId,
    state,
    reason: reasonFromProto(message.reason),
    generation: message.generation,
    atMs: Number(message.atMs),
    message: message.message,
    code: message.code,
    resultJson: message.resultJson,
    ...(message.scale === undefined ? {} : { scale: scaleFromProto(message.scale) }),
    ...(message.update === undefined ? {} : { update: updateFromProto(message.update) }),
  }
}

function placedOf(payload: Uint8Array): PlacedGang {
  const message = GangPlaced.decode(payload)
  return {
    jobId: message.jobId,
    placement: {
      gang: message.gang,
      generation: message.generation,
      nodes: message.nodes,
      nodeOfRank: message.nodeOfRank,
      rank0Ports: message.rank0Ports,
      masterAddress: message.masterAddress,
      checkpointPath: message.checkpointPath,
      checkpointStep: Number(message.checkpointStep),
      emulated: (message.perTask?.devices ?? 0) > 0 && message.nodeEmulated.some(Boolean),
      ...(message.revision === 0 ? {} : { revision: message.revision }),
    },
  }
}

function releaseOf(payload: Uint8Array): ReleasedGang {
  const { jobId, gang, throughGeneration: through } = GangReleased.decode(payload)
  return { jobId, gang, through }
}

function drainingOf(payload: Uint8Array): ReplicaSeen {
  const { jobId, gang, generation } = GangDraining.decode(payload)
  return { jobId, news: { gang, generation, draining: true } }
}

/** Of rank 0 alone: it takes the requests. */
function readinessOf(payload: Uint8Array): ReplicaSeen | undefined {
  const message = TaskReadinessChanged.decode(payload)
  if (message.rank !== 0) return undefined
  const { jobId, gang, generation, ready, cause, address, ports } = message
  const port = ports[0] ?? 0
  return { jobId, news: { gang, generation, ready, cause, address, port } }
}

const count = (value: unknown): number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0

/** Progress of a report line, if it is one. A task writes what it likes: nothing is trusted. */
function progressOf(report: TaskReported): Progress | undefined {
  let line: unknown
  try {
    line = JSON.parse(report.json)
  } catch {
    return undefined
  }
  if (typeof line !== 'object' || line === null) return undefined
  const fields = new Map(Object.entries(line))
  const loss = fields.get('loss')
  return {
    generation: report.generation,
    rank: report.rank,
    step: count(fields.get('step')),
    totalSteps: count(fields.get('totalSteps') ?? fields.get('steps')),
    loss: typeof loss === 'number' && Number.isFinite(loss) ? loss : null,
    atMs: count(fields.get('atMs')),
  }
}

function checkpointOf(payload: Uint8Array): { jobId: string; checkpoint: Checkpoint } | undefined {
  const { checkpoint } = CheckpointRegistered.decode(payload)
  if (checkpoint === undefined) return undefined
  const { jobId, generation, step, path } = checkpoint
  return { jobId, checkpoint: { generation, step: Number(step), path } }
}

const ofType = (events: readonly PublicEvent[], type: string): Uint8Array[] =>
  events.filter((event) => event.type === type).map((event) => event.payload)

/** Public events of other services as commands of the mediator. */
export const inputs: readonly InputSource<MediatorCommand>[] = [
  {
    service: 'scheduler',
    toCommand({ type, payload }) {
      if (type === STATE_CHANGED) return { type: 'ObserveState', view: viewOf(payload) }
      if (type === GANG_PLACED) return { type: 'PrepareLaunch', placed: placedOf(payload) }
      if (type === GANG_RELEASED) return { type: 'ObserveRelease', released: releaseOf(payload) }
      if (type === GANG_DRAINING) return { type: 'ObserveReplica', seen: drainingOf(payload) }
      return undefined
    },
    replaced: (events) => ({
      type: 'ReplaceScheduler',
      views: ofType(events, STATE_CHANGED).map(viewOf),
      placed: ofType(events, GANG_PLACED).map(placedOf),
      released: ofType(events, GANG_RELEASED).map(releaseOf),
      replicas: ofType(events, GANG_DRAINING).map(drainingOf),
    }),
  },
  {
    service: 'pool-manager',
    toCommand({ type, payload }) {
      if (type === TASK_READINESS) {
        const seen = readinessOf(payload)
        return seen && { type: 'ObserveReplica', seen }
      }
      if (type !== TASK_REPORTED) return undefined
      const report = TaskReported.decode(payload)
      if (report.kind !== 'progress') return undefined
      const progress = progressOf(report)
      return progress && { type: 'ObserveProgress', jobId: report.jobId, progress }
    },
    replaced: (events) => ({
      type: 'ReplacePool',
      replicas: ofType(events, TASK_READINESS).flatMap((p) => readinessOf(p) ?? []),
    }),
  },
  {
    service: 'fault-tolerance',
    toCommand({ type, payload }) {
      if (type !== CHECKPOINT_REGISTERED) return undefined
      const found = checkpointOf(payload)
      return found && { type: 'ObserveCheckpoint', ...found }
    },
    replaced: (events) => ({
      type: 'ReplaceCheckpoints',
      checkpoints: ofType(events, CHECKPOINT_REGISTERED).flatMap((p) => checkpointOf(p) ?? []),
    }),
  },
]
