/** Outcomes of jobs: how long they waited, and when they succeeded. */
import { accept, type DecideContext, type Decision, type TimerRequest } from '@serverless-ai/kernel'
import { inMaintenance, timersOf } from './count.ts'
import { type JobFact, jobTimer, type SlaCommand, type SlaEvent } from './messages.ts'
import {
  type Counts,
  INTERVAL_MS,
  intervalOf,
  isJobIndicator,
  JOB_GRACE_MS,
  type JobView,
  MAX_JOBS,
  type Objective,
  openFrom,
  QUIET_MS,
  type SlaState,
} from './model.ts'
import { Rows } from './rows.ts'

const PLACED: ReadonlySet<string> = new Set(['Admitted', 'Starting', 'Running'])
const ENDED: ReadonlySet<string> = new Set(['Succeeded', 'Failed', 'Cancelled'])
/** Codes of ends that are the job's own fault. */
const OWN_FAULT: ReadonlySet<string> = new Set(['USER_ERROR', 'INVALID_SPEC'])

function holdsFor(objective: Objective, job: JobFact): boolean {
  const { tenant, service, queue, indicator } = objective
  if (!isJobIndicator(indicator) || (job.serves && indicator === 'finish_by')) return false
  if (tenant !== '' && tenant !== job.tenant) return false
  if (queue !== '' && queue !== job.queue) return false
  return service === '' || service === job.jobId || service === job.name
}

/** A job was submitted: which objectives wait for it. */
function track(job: JobFact, state: SlaState): Decision<SlaEvent> {
  if (state.jobs.size >= MAX_JOBS) return accept<SlaEvent>([])
  const pending = [...state.objectives.values()]
    .filter(({ objective }) => job.queuedMs >= objective.createdMs && holdsFor(objective, job))
    .map(({ objective }) => {
      const thresholdMs = Math.ceil(objective.thresholdUs / 1_000)
      return [objective.objectiveId, thresholdMs] as const
    })
  if (pending.length === 0) return accept<SlaEvent>([])
  const { jobId, tenant, queuedMs: submittedMs } = job
  const dueMs = dueOf({ submittedMs }, Math.min(...pending.map(([, ms]) => ms)))
  return accept<SlaEvent>([{ type: 'JobTracked', jobId, tenant, submittedMs, pending }], {
    timers: [{ key: jobTimer(jobId), dueMs }],
  })
}

type JobMoment = Pick<JobFact, 'state' | 'code' | 'atMs'> & {
  /** States before this one were missed. */
  readonly unseen?: boolean
}

/** When a job is judged that nothing more was heard of. */
const dueOf = (job: Pick<JobView, 'submittedMs'>, thresholdMs: number): number =>
  job.submittedMs + thresholdMs + JOB_GRACE_MS + 1

type Verdict = { readonly column: keyof Counts; readonly atMs: number }

/** What a job is for an objective, by the state it came to; undefined = not known yet. */
export function judgeJob(
  objective: Objective,
  job: Pick<JobView, 'submittedMs'>,
  now: Pick<JobFact, 'state' | 'code' | 'atMs'>,
): Verdict | undefined {
  const { state, code, atMs } = now
  const dueMs = job.submittedMs + Math.ceil(objective.thresholdUs / 1_000)
  const reached = objective.indicator === 'queue_wait' ? PLACED.has(state) : state === 'Succeeded'
  const ended = ENDED.has(state)
  if (!reached && !ended && atMs <= dueMs) return undefined
  // It was too late already, whatever it came to.
  if (atMs > dueMs) return { column: 'bad', atMs: dueMs }
  if (reached) return { column: 'good', atMs }
  // A job that was never seen placed and succeeded has certainly been placed in time.
  if (state === 'Succeeded') return { column: 'good', atMs }
  const own = state === 'Cancelled' || OWN_FAULT.has(code)
  return { column: own && !objective.countCallerErrors ? 'excluded' : 'bad', atMs }
}

function verdictOf(objective: Objective, job: JobView, now: JobMoment): Verdict | undefined {
  const verdict = judgeJob(objective, job, now)
  if (verdict === undefined) return undefined
  if (inMaintenance(objective, verdict.atMs)) return { ...verdict, column: 'excluded' }
  const guessed = now.unseen === true && verdict.column !== 'good'
  return guessed ? { column: 'unknown', atMs: now.atMs } : verdict
}

/** Judges a job for all that wait for it, as of a state that it came to. */
function settle(
  job: JobView,
  now: JobMoment,
  state: SlaState,
  context: DecideContext,
): Decision<SlaEvent> {
  const { jobId } = job
  const rows = new Rows()
  const judged: string[] = []
  let nextMs = Number.POSITIVE_INFINITY
  for (const [objectiveId, thresholdMs] of job.pending) {
    const of = state.objectives.get(objectiveId)
    const verdict = of === undefined ? undefined : verdictOf(of.objective, job, now)
    if (of !== undefined && verdict === undefined) {
      nextMs = Math.min(nextMs, dueOf(job, thresholdMs))
      continue
    }
    judged.push(objectiveId)
    if (of === undefined || verdict === undefined) continue
    const isOpen = verdict.atMs >= openFrom(context.atMs) && verdict.atMs <= context.atMs
    const startMs = intervalOf(isOpen ? verdict.atMs : context.atMs)
    const tenant = of.objective.tenant === '' ? job.tenant : of.objective.tenant
    rows.add({ state: of, tenant, startMs, column: verdict.column })
  }
  const ended = ENDED.has(now.state)
  const events: SlaEvent[] = []
  const timers: TimerRequest[] = []
  if (judged.length > 0) {
    const counted = rows.list()
    timers.push(...timersOf(counted, state, context.atMs))
    const number = state.count + 1
    events.push({ type: 'JobOutcomesCounted', number, jobId, rows: counted, judged })
  }
  if (ended) events.push({ type: 'JobEnded', jobId })
  const waits = Number.isFinite(nextMs) && !ended
  if (waits) timers.push({ key: jobTimer(jobId), dueMs: nextMs })
  return accept(events, { timers, cancelTimers: waits ? [] : [jobTimer(jobId)] })
}

/** A job changed its state. */
export function noteJob(
  command: Extract<SlaCommand, { type: 'NoteJob' }>,
  state: SlaState,
  context: DecideContext,
): Decision<SlaEvent> {
  const { job } = command
  const known = state.jobs.get(job.jobId)
  if (known !== undefined) return settle(known, job, state, context)
  return job.state === 'Queued' ? track(job, state) : accept<SlaEvent>([])
}

/** The deadline of a job passed, and the scheduler had time to tell what became of it. */
export function judgeDue(
  command: Extract<SlaCommand, { type: 'JudgeJob' }>,
  state: SlaState,
  context: DecideContext,
): Decision<SlaEvent> {
  const job = state.jobs.get(command.jobId)
  if (job === undefined) return accept<SlaEvent>([])
  const { atMs } = context
  if (atMs - state.lastMs > QUIET_MS) {
    const timers = [{ key: jobTimer(job.jobId), dueMs: atMs + INTERVAL_MS }]
    return accept<SlaEvent>([{ type: 'JobOverdue', jobId: job.jobId }], { timers })
  }
  const due = { state: 'Queued', code: '', atMs: atMs - JOB_GRACE_MS }
  return settle(job, due, state, context)
}

/**
 * After a gap: only what the scheduler tells now is known of the tracked jobs. What may have
 * happened in time, and was not seen, is unknown, neither good nor bad.
 */
export function replacedJob(
  job: JobView,
  told: JobFact | undefined,
  state: SlaState,
  context: DecideContext,
): Decision<SlaEvent> {
  const { atMs } = context
  if (told === undefined) {
    return settle(job, { state: 'Cancelled', code: '', atMs, unseen: true }, state, context)
  }
  return settle(job, { ...told, unseen: told.state !== 'Queued' }, state, context)
}
