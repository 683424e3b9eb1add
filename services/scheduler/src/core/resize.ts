import { accept, type Decision, type Refused, refuse } from '@serverless-ai/kernel'
import { lend } from './holdings.ts'
import { OWNER_USER, type ResizeJob, type SchedulerEvent } from './messages.ts'
import { fittingPlan, giveBack } from './placement.ts'
import { tasksInQuota } from './requests.ts'
import { adjust } from './services.ts'
import type { Job, ScaleState, SchedulerState, Service } from './state.ts'
import { gangOf, holdingKey, isFinished, isPlaced, placedTasks } from './state.ts'
import type { ElasticSpec } from './types.ts'
import { plus, times, withTasks } from './types.ts'

type Decided = Decision<SchedulerEvent>

const OWNER = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
const DECISION_ID_MAX = 128
const TEXT_MAX = 1_024

/**
 * Sets how many replicas or tasks are wanted. One owner decides: a user takes the scale from
 * anyone, a controller from nobody, and whoever decided upon another version is refused.
 */
export function resizeJob(state: SchedulerState, command: ResizeJob, atMs: number): Decided {
  const { jobId } = command
  const service = state.services.get(jobId)
  if (service !== undefined) return resizeService(service, command, atMs)
  const job = state.jobs.get(jobId)
  if (job === undefined) return refuse('JOB_NOT_FOUND', { jobId })
  const { elastic } = job.spec.gang
  if (job.scale === undefined || elastic === undefined) return refuse('NOT_SCALABLE', { jobId })
  if (isFinished(job.phase)) return refuse('JOB_FINISHED', { jobId, state: job.phase.at })
  const { scale } = job
  const next = nextScale(scale, command, { min: elastic.minTasks, max: elastic.maxTasks })
  if (!next.accepted) return next
  if (next.event === undefined) return accept([])
  return resizeElastic(state, { job, elastic, change: next.event, atMs })
}

function resizeService(service: Service, command: ResizeJob, atMs: number): Decided {
  const { jobId, service: spec } = service.spec
  if (service.end !== undefined) return refuse('JOB_FINISHED', { jobId, state: service.end.at })
  const range = { min: spec?.minReplicas ?? 0, max: spec?.maxReplicas ?? 0 }
  const next = nextScale(service.scale, command, range)
  if (!next.accepted) return next
  if (next.event === undefined) return accept([])
  // The round of the update brings replicas of both revisions to the number.
  if (service.update?.at === 'Rolling') return accept([next.event])
  const { events, timers, cancelTimers } = adjust(service, next.event.wanted, atMs)
  return accept([next.event, ...events], { timers, cancelTimers })
}

type Change = Extract<SchedulerEvent, { type: 'ScaleChanged' }>

/** The next version; none when the command was carried out already, or changes nothing. */
function nextScale(
  scale: ScaleState,
  command: ResizeJob,
  range: { readonly min: number; readonly max: number },
): Refused | { readonly accepted: true; readonly event: Change | undefined } {
  const { jobId, decisionId, by, cause, release, expectedVersion } = command
  const field = flawOf(command)
  if (field !== '') return refuse('INVALID_SPEC', { field })
  if (decisionId !== '' && decisionId === scale.decisionId) {
    return { accepted: true, event: undefined }
  }
  const { owner: held, version } = scale
  const user = command.owner === OWNER_USER
  if (!user && held !== '' && held !== command.owner) {
    return refuse('SCALE_OWNED', { jobId, owner: held, version })
  }
  if (expectedVersion !== version && !(user && expectedVersion === 0)) {
    return refuse('STALE_SCALE', { jobId, expected: expectedVersion, current: version })
  }
  const wanted = release ? scale.wanted : command.wanted
  const { min, max } = range
  if (!Number.isInteger(wanted) || wanted < min || wanted > max) {
    return refuse('SCALE_OUT_OF_RANGE', { jobId, wanted, min, max })
  }
  const owner = release ? '' : command.owner
  if (wanted === scale.wanted && owner === held) return { accepted: true, event: undefined }
  const event = { jobId, wanted, version: version + 1, owner, decisionId, by, cause } as const
  return { accepted: true, event: { type: 'ScaleChanged', ...event } }
}

function flawOf({ owner, decisionId, cause, by, release }: ResizeJob): string {
  if (!OWNER.test(owner) || (release && owner !== OWNER_USER)) return 'owner'
  if (decisionId.length > DECISION_ID_MAX) return 'decision_id'
  if (cause.length > TEXT_MAX) return 'cause'
  return by.length > TEXT_MAX ? 'by' : ''
}

/**
 * A waiting gang is placed with the new number of tasks next time. A placed one is asked for a
 * checkpoint first, unless its size stays or there is no place for more of it.
 */
function resizeElastic(
  state: SchedulerState,
  of: { job: Job; elastic: ElasticSpec; change: Change; atMs: number },
): Decided {
  const { job, elastic, change, atMs } = of
  const { jobId } = job.spec
  const placed = placedTasks(job)
  if (placed === 0 || change.wanted === placed) return accept([change])
  const untilMs = cooldownUntil(job)
  if (atMs < untilMs) return refuse('RESIZE_COOLDOWN', { jobId, untilMs })
  const tasks = change.wanted < placed ? change.wanted : growTo(state, job, change.wanted)
  if (tasks === placed) return accept([change])
  const noticeId = `${jobId}.${job.generation}.${change.version}`
  return accept([
    change,
    {
      type: 'CheckpointRequested',
      jobId,
      gang: gangOf(job),
      generation: job.generation,
      noticeId,
      deadlineMs: atMs + elastic.noticeMs,
      tasks,
      cause: `from ${placed} to ${tasks} tasks: ${change.cause}`,
    },
  ])
}

/** Earliest time of the next planned change of an elastic gang's size, ms since 1970; 0 = any. */
export function cooldownUntil(job: Job): number {
  const { resizedAtMs } = job
  const cooldownMs = job.spec.gang.elastic?.cooldownMs ?? 0
  if (resizedAtMs === undefined) return 0
  return Math.max(resizedAtMs + cooldownMs, job.notice?.deadlineMs ?? 0)
}

/** Most tasks, from what it has to what is wanted, that would fit if what it holds were free. */
function growTo(state: SchedulerState, job: Job, wanted: number): number {
  const placed = placedTasks(job)
  const key = holdingKey(job.spec.jobId, gangOf(job), job.generation)
  const holding = state.holdings.get(key)
  const queue = state.queues.get(job.spec.queue)
  if (!isPlaced(job.phase) || holding === undefined || queue === undefined) return placed
  const { gang } = job.spec
  const used = plus(queue.used, times(gang.perTask, placed), -1)
  const room = Math.min(wanted, tasksInQuota(queue.spec, gang.perTask, used))
  if (room <= placed) return placed
  const { fleet } = state
  const { gains, version } = fleet
  const takeAgain = lend(state, holding)
  const plan = fittingPlan(fleet, withTasks(gang, room), { least: placed + 1 })
  if (plan !== undefined) giveBack(fleet, gang, plan)
  takeAgain()
  fleet.gains = gains
  fleet.version = version
  return plan === undefined ? placed : plan.tasksOnNode.reduce((sum, tasks) => sum + tasks, 0)
}
