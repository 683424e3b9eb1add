/** The owner of one job, from its submission to its end. */

import { isFinished } from '@serverless-ai/client'
import { type Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import { RpcError, type Timers } from '@serverless-ai/kernel'
import type { SeededRandomness } from '@serverless-ai/kernel/testing'
import type { Observation } from '../../check/types.ts'
import type { SimTime, Trace } from '../../world/types.ts'
import type { Accepted, UserCalls } from './calls.ts'
import { type Answer, insist } from './patience.ts'
import type { JobPlan, ScalePlan, UpdatePlan } from './plans.ts'

/** Time between two reads of a job that runs, ms. */
const READ_EVERY_MS = [5_000, 25_000] as const
/** Attempts of one read; then the next one is due anyway. */
const READ_ATTEMPTS = 4

/** What an owner needs. */
export interface JobOwnerInit {
  readonly plan: JobPlan
  readonly calls: UserCalls
  readonly timers: Timers
  readonly random: SeededRandomness
  readonly time: SimTime
  readonly trace: Trace
  readonly observe: (observation: Observation) => void
}

/** One user with one job. */
export class JobOwner {
  readonly #init: JobOwnerInit
  readonly #name: string
  /** Requests that have no answer yet. */
  #waiting = 0
  /** Watches so far. */
  #watches = 0
  #phase: 'planned' | 'submitting' | 'open' | 'over' = 'planned'
  #jobId = ''
  #state: Job_State = Job_State.UNSPECIFIED

  constructor(init: JobOwnerInit, name: string) {
    this.#init = init
    this.#name = name
  }

  /** What is still to come, for people; undefined when all is done. */
  get open(): string | undefined {
    const about = this.#jobId === '' ? this.#name : `${this.#jobId} (${this.#name})`
    if (this.#phase === 'planned') return `${about} is not submitted yet`
    if (this.#phase === 'submitting') return `${about} waits for the answer to its submission`
    if (this.#phase === 'open') return `job ${about} is ${stateText(this.#state)}`
    return this.#waiting > 0 ? `${about} waits for an answer` : undefined
  }

  /** Does all that its plan says; never resolves when the process dies. */
  async run(): Promise<void> {
    const { plan, calls, time, timers } = this.#init
    await timers.sleep(Math.max(0, plan.atMs - time.nowMs))
    this.#phase = 'submitting'
    const requestId = calls.newRequestId()
    const first = this.#submit(requestId)
    const second = plan.twice ? this.#submit(requestId) : undefined
    const answer = await first
    await second
    const again = [
      ...plan.repeatsAfterMs.map((ms) => this.#repeat(requestId, ms)),
      this.#reuse(requestId, answer),
    ]
    if (!answer.ok) {
      // Refused for good: the same request gets the same refusal, whenever it comes.
      this.#phase = 'over'
      await Promise.all(again)
      return
    }
    const { jobId, position } = answer.value
    this.#jobId = jobId
    this.#phase = 'open'
    const others = [
      ...again,
      ...(plan.cancelAfterMs === undefined ? [] : [this.#cancel(jobId, plan.cancelAfterMs)]),
      ...(plan.scales ?? []).map((scale) => this.#scale(jobId, scale)),
      ...(plan.updates ?? []).map((update) => this.#update(jobId, update)),
    ]
    await this.#read(jobId, position)
    await (plan.watches ? this.#watch(jobId) : this.#poll(jobId))
    this.#phase = 'over'
    await Promise.all(others)
  }

  async #insist<T>(call: () => Promise<T>, what: string): Promise<Answer<T>> {
    this.#waiting += 1
    const answer = await insist(call, {
      ...this.#init,
      onFailure: (error) => this.#failed(what, error),
    })
    this.#waiting -= 1
    return answer
  }

  #failed(what: string, error: unknown): void {
    const reason = error instanceof RpcError ? `${error.code} ${error.reason}` : 'UNKNOWN'
    this.#init.trace.note('users', `${what} ${reason}`, () => {
      const text = error instanceof Error ? error.message : String(error)
      return `${this.#jobId === '' ? this.#name : this.#jobId}: ${what} ${reason}: ${text}`
    })
  }

  #answered(
    call: 'submit' | 'cancel' | 'reuse',
    requestId: string,
    jobId: string,
    answer: Answer<Accepted>,
  ): void {
    const { observe, time } = this.#init
    const [ok, reason] = answer.ok ? [true, ''] : [false, answer.reason]
    const position = answer.ok ? answer.value.position : ''
    observe({ kind: 'answered', atMs: time.nowMs, requestId, call, jobId, ok, reason, position })
  }

  async #submit(requestId: string): Promise<Answer<Accepted>> {
    const { calls, plan } = this.#init
    const answer = await this.#insist(() => calls.submit(requestId, plan.manifest), 'submit')
    this.#answered('submit', requestId, answer.ok ? answer.value.jobId : '', answer)
    return answer
  }

  /** The same request once more, long after its answer perhaps. */
  async #repeat(requestId: string, ms: number): Promise<void> {
    await this.#init.timers.sleep(ms)
    await this.#submit(requestId)
  }

  /** Another request under the id of one that has its answer. */
  async #reuse(requestId: string, first: Answer<Accepted>): Promise<void> {
    const { calls, plan, timers } = this.#init
    // A description that cannot be read has no answer in the log that could be found again.
    const known = first.ok || first.reason !== 'INVALID_SPEC'
    if (plan.reusedAfterMs === undefined || !known) return
    await timers.sleep(plan.reusedAfterMs)
    // JSON with a line more is another request, though it asks for the same.
    const other = `${plan.manifest}\n`
    const answer = await this.#insist(() => calls.submit(requestId, other), 'reuse')
    this.#answered('reuse', requestId, answer.ok ? answer.value.jobId : '', answer)
  }

  async #scale(jobId: string, { afterMs, wanted }: ScalePlan): Promise<void> {
    const { calls, timers } = this.#init
    await timers.sleep(afterMs)
    const requestId = calls.newRequestId()
    await this.#insist(() => calls.scale(requestId, jobId, wanted), 'scale')
  }

  async #update(jobId: string, { afterMs, manifest }: UpdatePlan): Promise<void> {
    const { calls, timers } = this.#init
    await timers.sleep(afterMs)
    const requestId = calls.newRequestId()
    await this.#insist(() => calls.update(requestId, jobId, manifest), 'update')
  }

  async #cancel(jobId: string, ms: number): Promise<void> {
    const { calls, timers } = this.#init
    await timers.sleep(ms)
    const requestId = calls.newRequestId()
    const answer = await this.#insist(() => calls.cancel(requestId, jobId), 'cancel')
    this.#answered('cancel', requestId, jobId, answer)
    if (answer.ok) await this.#read(jobId, answer.value.position)
  }

  /** Reads at any replica; undefined when none of a few attempts got an answer. */
  async #read(jobId: string, minPosition: string): Promise<Job | undefined> {
    const { calls, observe, time, timers, random } = this.#init
    for (let attempt = 1; attempt <= READ_ATTEMPTS; attempt += 1) {
      try {
        const job = await calls.read(jobId, minPosition)
        const state = stateText(job?.state ?? Job_State.UNSPECIFIED)
        const found = job !== undefined
        observe({ kind: 'read', atMs: time.nowMs, jobId, found, state, minPosition })
        this.#state = job?.state ?? this.#state
        return job
      } catch (error) {
        this.#failed('read', error)
        if (error instanceof RpcError && error.code === 'NOT_FOUND' && minPosition !== '') {
          observe({ kind: 'read', atMs: time.nowMs, jobId, found: false, state: '', minPosition })
          return undefined
        }
      }
      await timers.sleep(200 + random.float() * 1_000)
    }
    return undefined
  }

  async #poll(jobId: string): Promise<void> {
    const { timers, random } = this.#init
    const [least, most] = READ_EVERY_MS
    for (;;) {
      const job = await this.#read(jobId, '')
      if (job !== undefined && isFinished(job)) return
      await timers.sleep(least + random.float() * (most - least))
    }
  }

  async #watch(jobId: string): Promise<void> {
    const { calls, timers, observe, time } = this.#init
    for (;;) {
      this.#watches += 1
      const watch = `${this.#watches} of ${this.#name}`
      try {
        for await (const job of calls.watch(jobId)) {
          this.#state = job.state
          const state = stateText(job.state)
          observe({ kind: 'watched', atMs: time.nowMs, jobId, watch, state })
          if (isFinished(job)) return
        }
      } catch (error) {
        this.#failed('watch', error)
      }
      await timers.sleep(2_000)
    }
  }
}

const STATE_NAMES = new Map<Job_State, string>(
  Object.entries(Job_State).map(([name, state]) => [state, name]),
)
const stateText = (state: Job_State): string => STATE_NAMES.get(state) ?? String(state)
