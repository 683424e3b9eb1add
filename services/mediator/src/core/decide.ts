import {
  accept,
  type DecideContext,
  type Decision,
  type EffectRequest,
  invariant,
  type Json,
  type Refused,
  refuse,
  unreachable,
} from '@serverless-ai/kernel'
import type { JobSpec } from './job-spec.ts'
import type {
  MediatorCommand,
  MediatorEvent,
  PlacedGang,
  ReleasedGang,
  SchedulerView,
} from './messages.ts'
import {
  type Checkpoint,
  FINISHED_JOBS_MAX,
  isFinished,
  type JobRecord,
  LAUNCH_RULES,
  type MediatorState,
  OPEN_JOBS_MAX,
  SCALING_LEVEL,
} from './model.ts'
import { withModel } from './models.ts'
import { replaceReplicas, replicaOf, seeRelease, seeReplica } from './replicas.ts'
import { earlyUpdate, settleUpdate, updateService } from './updates.ts'

type Outcome = Decision<MediatorEvent>
type CommandOf<T extends MediatorCommand['type']> = Extract<MediatorCommand, { type: T }>

/** Key of the effect that hands a job to the scheduler. */
const enqueueKey = (jobId: string): string => `enqueue:${jobId}`
/** Key of the effect that ends a job at the scheduler. */
const cancelKey = (jobId: string): string => `cancel:${jobId}`

const cancelEffect = (jobId: string, requestedBy: string): EffectRequest => ({
  key: cancelKey(jobId),
  kind: 'cancel',
  payload: { jobId, requestedBy },
})

function mintJobId(state: MediatorState, cell: number, nonce: string): string {
  for (let from = 0; from + 12 <= nonce.length; from += 4) {
    const jobId = `j-${cell}-${nonce.slice(from, from + 12)}`
    if (!state.jobs.has(jobId)) return jobId
  }
  invariant(false, 'no free job id in this nonce')
}

function submit(
  command: CommandOf<'SubmitJob'>,
  state: MediatorState,
  context: DecideContext,
): Outcome {
  // Refused here and not before: the refusal is an answer of the log, the same for every repetition
  // of the request, and it cannot be said beside an acceptance of the same request.
  const { rejection } = command
  if (rejection !== null) return refuse(rejection.reason, { rejection })
  const open = state.jobs.size - state.finished.size
  if (open >= OPEN_JOBS_MAX) return refuse('TOO_MANY_JOBS', { open, max: OPEN_JOBS_MAX })
  const { tenant, submittedBy, requestId, cell } = command
  const described = describe(command, state, context)
  if (!described.accepted) return described
  const { spec } = described
  const jobId = mintJobId(state, cell, context.nonce)
  const request: Json = { jobId, tenant, spec: { ...spec }, submittedMs: context.atMs }
  return accept([{ type: 'JobSubmitted', jobId, tenant, submittedBy, requestId, spec }], {
    answer: { jobId },
    effects: [{ key: enqueueKey(jobId), kind: 'enqueue', payload: request }],
  })
}

/** The job as it is kept: what it asks for is there, and it was found what its model is. */
function describe(
  { spec, tenant }: CommandOf<'SubmitJob'>,
  state: MediatorState,
  context: DecideContext,
): Refused | { readonly accepted: true; readonly spec: JobSpec } {
  const { service, elastic, name } = spec
  if (service === undefined && elastic === undefined) return { accepted: true, spec }
  // A version before this one may still lead the log, and would take it for something else.
  if ((context.featureLevel ?? 1) < SCALING_LEVEL) {
    return refuse('FEATURE_NOT_ENABLED', { level: SCALING_LEVEL })
  }
  if (service === undefined) return { accepted: true, spec }
  for (const job of state.jobs.values()) {
    if (job.tenant !== tenant) continue
    const serves = job.spec.service !== undefined && !isFinished(job.state)
    if (serves && job.spec.name === name) {
      return refuse('SERVICE_EXISTS', { name, jobId: job.jobId })
    }
  }
  return withModel(spec, tenant, state)
}

/** The scheduler is known to hold the job now, by its answer or its first event. */
function enqueued(job: JobRecord): { events: MediatorEvent[]; effects: EffectRequest[] } {
  if (job.enqueued) return { events: [], effects: [] }
  const { jobId, cancelRequestedBy } = job
  return {
    events: [{ type: 'JobEnqueued', jobId }],
    effects: cancelRequestedBy === '' ? earlyUpdate(job) : [cancelEffect(jobId, cancelRequestedBy)],
  }
}

/** Keeps the number of finished jobs bounded when `more` of them finish now. */
function forget(state: MediatorState, more: readonly string[]): MediatorEvent[] {
  const surplus = state.finished.size + more.length - FINISHED_JOBS_MAX
  if (surplus <= 0) return []
  const oldest = [...state.finished, ...more].slice(0, surplus)
  return oldest.map((jobId) => ({ type: 'JobForgotten', jobId }))
}

function settleEnqueue(command: CommandOf<'SettleEnqueue'>, state: MediatorState): Outcome {
  const { jobId, rejection } = command
  const settles = [enqueueKey(jobId)]
  const job = state.jobs.get(jobId)
  // A job the scheduler has told about is queued, whatever a late answer to a repeated call says.
  if (job === undefined || job.enqueued || isFinished(job.state)) return accept([], { settles })
  if (rejection === null) {
    const { events, effects } = enqueued(job)
    return accept(events, { effects, settles })
  }
  const events: MediatorEvent[] = [{ type: 'JobRejected', jobId, rejection }]
  return accept([...events, ...forget(state, [jobId])], { settles })
}

function cancel(command: CommandOf<'CancelJob'>, state: MediatorState): Outcome {
  const { jobId, tenant, by } = command
  const job = state.jobs.get(jobId)
  if (job === undefined || (tenant !== '' && job.tenant !== tenant)) {
    return refuse('JOB_NOT_FOUND', { jobId })
  }
  if (isFinished(job.state) || job.cancelRequestedBy !== '')
    return accept([], { answer: { jobId } })
  return accept([{ type: 'JobCancelRequested', jobId, by }], {
    answer: { jobId },
    effects: job.enqueued ? [cancelEffect(jobId, by)] : [],
  })
}

function changes(job: JobRecord, view: SchedulerView): boolean {
  if (isFinished(job.state) || view.generation < job.generation) return false
  return (
    view.state !== job.state ||
    view.generation !== job.generation ||
    view.message !== job.message ||
    JSON.stringify(view.scale) !== JSON.stringify(job.scale) ||
    JSON.stringify(view.update) !== JSON.stringify(job.update) ||
    job.observedMs === 0 ||
    JSON.stringify(view.reason) !== JSON.stringify(job.reason)
  )
}

function observe(views: readonly SchedulerView[], state: MediatorState) {
  const events: MediatorEvent[] = []
  const effects: EffectRequest[] = []
  const ended = new Set<string>()
  for (const view of views) {
    const job = state.jobs.get(view.jobId)
    if (job === undefined || !changes(job, view)) continue
    const first = enqueued(job)
    events.push(...first.events, { type: 'JobStateObserved', view })
    effects.push(...first.effects)
    if (isFinished(view.state)) ended.add(view.jobId)
  }
  return { events, effects, ended }
}

function prepare(
  { jobId, placement }: PlacedGang,
  state: MediatorState,
  ended: ReadonlySet<string>,
): MediatorEvent[] {
  const job = state.jobs.get(jobId)
  if (job === undefined || isFinished(job.state) || ended.has(jobId)) return []
  const last = job.spec.service === undefined ? job.placement : undefined
  const before = last ?? replicaOf(job, placement.gang)?.placement
  if (placement.generation <= (before?.generation ?? 0)) return []
  return [{ type: 'LaunchPrepared', jobId, rules: LAUNCH_RULES, placement }]
}

function replaceScheduler(
  command: CommandOf<'ReplaceScheduler'>,
  state: MediatorState,
  context: DecideContext,
): Outcome {
  const present = new Set(command.views.map((view) => view.jobId))
  const gone: SchedulerView[] = []
  for (const job of state.jobs.values()) {
    // A job that only our own call told about may be younger than the snapshot.
    if (job.observedMs === 0 || isFinished(job.state) || present.has(job.jobId)) continue
    gone.push({
      jobId: job.jobId,
      state: 'Failed',
      reason: null,
      generation: job.generation,
      atMs: context.atMs,
      message: 'the scheduler does not know this job any more',
      code: 'UNKNOWN_TO_SCHEDULER',
      resultJson: '',
    })
  }
  const { events, effects, ended } = observe([...command.views, ...gone], state)
  const launches = command.placed
    .filter((placed) => !isReleased(placed, command.released ?? []))
    .flatMap((placed) => prepare(placed, state, ended))
  const replicas = replaceReplicas(command, state)
  return accept([...events, ...launches, ...replicas, ...forget(state, [...ended])], { effects })
}

/** A replica that is over is still placed in the scheduler's feed, until it is freed. */
function isReleased({ jobId, placement }: PlacedGang, released: readonly ReleasedGang[]): boolean {
  const { gang, generation } = placement
  if (gang === 0) return false
  return released.some(
    (one) => one.jobId === jobId && one.gang === gang && one.through >= generation,
  )
}

function newer(now: Checkpoint, before: Checkpoint | null): boolean {
  if (before === null || now.generation > before.generation) return true
  return now.generation === before.generation && now.step > before.step
}

function checkpoints(
  all: readonly { readonly jobId: string; readonly checkpoint: Checkpoint }[],
  state: MediatorState,
): Outcome {
  const latest = new Map<string, Checkpoint>()
  for (const { jobId, checkpoint } of all) {
    const job = state.jobs.get(jobId)
    if (job !== undefined && newer(checkpoint, latest.get(jobId) ?? job.checkpoint)) {
      latest.set(jobId, checkpoint)
    }
  }
  return accept(
    [...latest].map(([jobId, checkpoint]) => ({ type: 'CheckpointObserved', jobId, checkpoint })),
  )
}

function progress(command: CommandOf<'ObserveProgress'>, state: MediatorState): Outcome {
  const job = state.jobs.get(command.jobId)
  const before = job?.progress ?? null
  // The ranks of a gang report the same steps: the first to reach one tells it for all.
  if (
    job === undefined ||
    !newer({ ...command.progress, path: '' }, before && { ...before, path: '' })
  ) {
    return accept([])
  }
  return accept([{ type: 'ProgressObserved', jobId: command.jobId, progress: command.progress }])
}

/** Decides a command. Pure. */
export function decide(
  command: MediatorCommand,
  state: MediatorState,
  context: DecideContext,
): Outcome {
  switch (command.type) {
    case 'SubmitJob':
      return submit(command, state, context)
    case 'UpdateService':
      return updateService(command, state, context)
    case 'SettleUpdate':
      return settleUpdate(command, state)
    case 'SettleEnqueue':
      return settleEnqueue(command, state)
    case 'CancelJob':
      return cancel(command, state)
    case 'SettleCancel':
      return accept([], { settles: [cancelKey(command.jobId)] })
    case 'ObserveState': {
      const { events, effects, ended } = observe([command.view], state)
      return accept([...events, ...forget(state, [...ended])], { effects })
    }
    case 'PrepareLaunch':
      return accept(prepare(command.placed, state, new Set()))
    case 'ReplaceScheduler':
      return replaceScheduler(command, state, context)
    case 'ObserveProgress':
      return progress(command, state)
    case 'ObserveCheckpoint':
      return checkpoints([command], state)
    case 'ReplaceCheckpoints':
      return checkpoints(command.checkpoints, state)
    case 'ReplacePool':
      return accept((command.replicas ?? []).flatMap((seen) => seeReplica(seen, state)))
    case 'ObserveReplica':
      return accept(seeReplica(command.seen, state))
    case 'ObserveRelease':
      return accept(seeRelease(command.released, state))
    default:
      return unreachable(command)
  }
}
