import { CheckpointRegistered } from '@serverless-ai/contracts/events/v1/fault_tolerance'
import { TaskReported } from '@serverless-ai/contracts/events/v1/pool_manager'
import { GangPlaced, JobStateChanged } from '@serverless-ai/contracts/events/v1/scheduler'
import { EVENTS } from '@serverless-ai/contracts/names'
import type { InputSource, PublicEvent } from '@serverless-ai/runtime'
import type { MediatorCommand, PlacedGang, SchedulerView } from '../core/messages.ts'
import type { Checkpoint, Progress } from '../core/model.ts'
import { stateFromName } from './job.ts'
import { reasonFromProto } from './reason.ts'

const STATE_CHANGED = `${EVENTS}JobStateChanged`
const GANG_PLACED = `${EVENTS}GangPlaced`
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
    },
  }
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
      return undefined
    },
    replaced: (events) => ({
      type: 'ReplaceScheduler',
      views: ofType(events, STATE_CHANGED).map(viewOf),
      placed: ofType(events, GANG_PLACED).map(placedOf),
    }),
  },
  {
    service: 'pool-manager',
    toCommand({ type, payload }) {
      if (type !== TASK_REPORTED) return undefined
      const report = TaskReported.decode(payload)
      if (report.kind !== 'progress') return undefined
      const progress = progressOf(report)
      return progress && { type: 'ObserveProgress', jobId: report.jobId, progress }
    },
    replaced: () => ({ type: 'ReplacePool' }),
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
