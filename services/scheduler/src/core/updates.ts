import {
  type Accepted,
  accept,
  type DecideContext,
  type Decision,
  refuse,
  type TimerRequest,
} from '@serverless-ai/kernel'
import type { SchedulerEvent } from './messages.ts'
import { ROUND_TIMER } from './round.ts'
import {
  add,
  counted,
  dispensable,
  isReady,
  noSteps,
  revisionOf,
  type Steps,
  takeAway,
} from './services.ts'
import type { Job, SchedulerState, Service, UpdateState } from './state.ts'
import { gangOf } from './state.ts'
import { HOUR_MS, REPLICAS_MAX, SCALING_LEVEL } from './types.ts'
import type { EndStartup, UpdateService } from './update-messages.ts'

/** Replicas of a new revision that fail in a row, never ready, before the update stalls. */
const FAILURES_MAX = 3
const TEXT_MAX = 1_024

type Decided = Decision<SchedulerEvent>

/** Takes an update; its replicas are replaced by the rounds after it. */
export function updateService(
  state: SchedulerState,
  command: UpdateService,
  { featureLevel = 1 }: DecideContext,
): Decided {
  const { type: _, ...asked } = command
  const { jobId } = asked
  const service = state.services.get(jobId)
  if (service === undefined) {
    return refuse(state.jobs.has(jobId) ? 'NOT_UPDATABLE' : 'JOB_NOT_FOUND', { jobId })
  }
  if (service.end !== undefined) return refuse('JOB_FINISHED', { jobId, state: service.end.at })
  if (featureLevel < SCALING_LEVEL) return refuse('FEATURE_NOT_ENABLED', { level: SCALING_LEVEL })
  const flaw = flawOf(command)
  if (flaw !== undefined) return refuse('INVALID_SPEC', flaw)
  const { update } = service
  if (asked.number <= (update?.number ?? 0)) return accept([])
  const fromRevision = update?.at === 'Done' ? update.revision : (update?.from ?? 1)
  return accept([{ type: 'UpdateStarted', ...asked, fromRevision }])
}

function flawOf(command: UpdateService): Record<string, string | number> | undefined {
  const { number, revision, drainMs, maxSurge, maxUnavailable, startupDeadlineMs, by } = command
  const fields = [
    ['number', number, 1, Number.MAX_SAFE_INTEGER],
    ['revision', revision, 1, 0xffff_ffff],
    ['drain_ms', drainMs, 0, HOUR_MS],
    ['max_surge', maxSurge, maxUnavailable === 0 ? 1 : 0, REPLICAS_MAX],
    ['max_unavailable', maxUnavailable, 0, REPLICAS_MAX],
    ['startup_deadline_ms', startupDeadlineMs, 1, 24 * HOUR_MS],
  ] as const
  for (const [field, value, min, max] of fields) {
    if (!Number.isInteger(value) || value < min || value > max) return { field, value, min, max }
  }
  return by.length > TEXT_MAX ? { field: 'by' } : undefined
}

/**
 * Goes on with all updates that are under way; undefined when there is nothing to do. What is taken
 * and added is placed by the round that its timer asks for.
 */
export function updateRound(
  state: SchedulerState,
  { atMs }: DecideContext,
): Accepted<SchedulerEvent> | undefined {
  const all = noSteps()
  for (const jobId of state.rolling) {
    const { events, timers, cancelTimers } = goOn(state.services.get(jobId)!, atMs)
    all.events.push(...events)
    all.timers.push(...timers)
    all.cancelTimers.push(...cancelTimers)
  }
  if (all.events.length === 0) return undefined
  const timers = [...all.timers, { key: ROUND_TIMER, dueMs: atMs }]
  return accept(all.events, { timers, cancelTimers: all.cancelTimers })
}

function goOn(service: Service, atMs: number): Steps {
  const { update } = service
  if (update?.at !== 'Rolling') return noSteps()
  if (update.failures >= FAILURES_MAX) {
    const failed = `${update.failures} replicas of revision ${update.revision} failed in a row`
    const cause = `${failed} before one was ready`
    return stall(service, { update, cause, atMs })
  }
  return new Roll(service, update).steps(atMs)
}

/** What a step of an update starts from and comes to. Replicas that are draining do not count. */
class Roll {
  readonly #service: Service
  readonly #update: UpdateState
  readonly #wanted: number
  /** Ready ones that there must be at least. */
  readonly #least: number
  #fresh: Job[]
  #old: Job[]
  readonly #gone: Job[] = []
  #addedFresh = 0
  #addedOld = 0

  constructor(service: Service, update: UpdateState) {
    const present = counted(service)
    this.#service = service
    this.#update = update
    this.#wanted = service.scale.wanted
    this.#least = Math.max(0, this.#wanted - update.maxUnavailable)
    this.#fresh = present.filter((job) => revisionOf(job) === update.revision)
    this.#old = present.filter((job) => revisionOf(job) !== update.revision)
  }

  steps(atMs: number): Steps {
    const steps = noSteps()
    while (this.#take() || this.#add()) {}
    for (const job of this.#gone) takeAway(steps, this.#service, { job, atMs, cause: 'UPDATED' })
    const { revision, from, number } = this.#update
    if (this.#addedFresh > 0) add(steps, this.#service, { revision, count: this.#addedFresh })
    if (this.#addedOld > 0) add(steps, this.#service, { revision: from, count: this.#addedOld })
    const whole = this.#old.length + this.#addedOld + this.#addedFresh === 0
    if (whole && this.#fresh.length === this.#wanted && this.#fresh.every(isReady)) {
      const { jobId } = this.#service.spec
      steps.events.push({ type: 'UpdateFinished', jobId, number })
    }
    return steps
  }

  get #total(): number {
    return this.#fresh.length + this.#old.length + this.#addedFresh + this.#addedOld
  }

  /** New ones that cannot be counted upon. */
  get #unready(): number {
    return this.#fresh.filter((job) => !isReady(job)).length + this.#addedFresh
  }

  get #ready(): number {
    return [...this.#fresh, ...this.#old].filter(isReady).length
  }

  /** New ones that are too many: more than are wanted, or more than may be tried now. */
  #surplus(): Job[] {
    const above = this.#total - this.#wanted - this.#update.maxSurge
    const idle = this.#fresh.filter((job) => !isReady(job)).length
    const count = Math.max(this.#fresh.length - this.#wanted, Math.min(idle, above))
    return dispensable(this.#fresh, count)
  }

  /** Takes what may go; false = nothing. */
  #take(): boolean {
    const surplus = this.#surplus()
    const unready = this.#unready - surplus.filter((job) => !isReady(job)).length
    const mayGo = this.#total - surplus.length - this.#least - unready
    const broken = this.#old.filter((job) => !isReady(job)).slice(0, Math.max(0, mayGo))
    const spare = Math.min(mayGo - broken.length, this.#ready - this.#least)
    // The oldest first: they have had their time.
    const ready = this.#old.filter(isReady).slice(0, Math.max(0, spare))
    const gone = new Set([...surplus, ...broken, ...ready])
    this.#gone.push(...gone)
    this.#fresh = this.#fresh.filter((job) => !gone.has(job))
    this.#old = this.#old.filter((job) => !gone.has(job))
    return gone.size > 0
  }

  /** Adds what there is room for; false = nothing. */
  #add(): boolean {
    const { maxSurge, maxUnavailable, proven, from, revision } = this.#update
    const wanted = this.#wanted
    // Before one of them was ready no more than a few are tried.
    const tried = Math.min(wanted, maxSurge > 0 ? maxSurge : maxUnavailable)
    const most = proven ? wanted : tried
    const room = wanted + maxSurge - this.#total
    const fresh = Math.max(0, Math.min(room, most - this.#fresh.length - this.#addedFresh))
    this.#addedFresh += fresh
    const short = this.#least - (this.#total - this.#unready)
    const old = proven || from === revision ? 0 : Math.max(0, short)
    this.#addedOld += old
    return fresh + old > 0
  }
}

/**
 * Stops an update: those of the new revision that never served go, all others stay, and what is
 * missing is added of the revision before.
 */
function stall(
  service: Service,
  of: { readonly update: UpdateState; readonly cause: string; readonly atMs: number },
): Steps {
  const { update, cause, atMs } = of
  const { jobId } = service.spec
  const { wanted } = service.scale
  const steps = noSteps()
  steps.events.push({ type: 'UpdateStalled', jobId, number: update.number, cause })
  const present = counted(service)
  const idle = present.filter((job) => revisionOf(job) === update.revision && !isReady(job))
  // A former revision that does not come up again is all there is.
  const keeps = update.revision === update.from
  const gone = keeps ? dispensable(idle, present.length - wanted) : idle
  for (const job of gone) takeAway(steps, service, { job, atMs, cause: 'UPDATED' })
  const rest = present.filter((job) => !gone.includes(job))
  for (const job of dispensable(rest, rest.length - wanted)) {
    takeAway(steps, service, { job, atMs, cause: 'UPDATED' })
  }
  const count = wanted - rest.length
  if (count > 0) add(steps, service, { revision: update.from, count })
  return steps
}

/** The timer of a replica of a new revision that has just started, for the first time or again. */
export function startupTimers(state: SchedulerState, job: Job, atMs: number): TimerRequest[] {
  const { jobId } = job.spec
  const update = state.services.get(jobId)?.update
  if (update?.at !== 'Rolling' || revisionOf(job) !== update.revision) return []
  if (job.served === true || job.drain !== undefined) return []
  const key = `startup:${jobId}:${job.generation}:${gangOf(job)}`
  return [{ key, dueMs: atMs + update.startupDeadlineMs }]
}

/** A replica of a new revision had its time to become ready. */
export function endStartup(state: SchedulerState, of: EndStartup, atMs: number): Decided {
  const service = state.services.get(of.jobId)
  const job = service?.replicas.get(of.gang)
  const update = service?.update
  if (service === undefined || job === undefined || update?.at !== 'Rolling') return accept([])
  if (job.generation !== of.generation || job.served === true) return accept([])
  if (revisionOf(job) !== update.revision || job.drain !== undefined) return accept([])
  const deadline = `${update.startupDeadlineMs} ms after its start`
  const cause = `replica ${of.gang} of revision ${update.revision} was not ready ${deadline}`
  const { events, ...more } = stall(service, { update, cause, atMs })
  return accept(events, more)
}

/** The last update with what there is of it now. */
export type UpdateNow = {
  readonly state: UpdateState
  /** Ready replicas of its revision. */
  readonly updated: number
  /** Replicas of other revisions that do not drain. */
  readonly outdated: number
}

/** The update of a service; undefined where there is none. */
export function updateNow(state: SchedulerState, jobId: string): UpdateNow | undefined {
  const service = state.services.get(jobId)
  if (service?.update === undefined) return undefined
  const { revision } = service.update
  const present = counted(service)
  const fresh = present.filter((job) => revisionOf(job) === revision)
  const updated = fresh.filter(isReady).length
  return { state: service.update, updated, outdated: present.length - fresh.length }
}
