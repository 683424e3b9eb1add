import { invariant } from '@serverless-ai/kernel'
import type { GangSpec, Reason } from './types.ts'

/** What the order inside a class looks at. */
export type WaitingJob = { readonly order: number; readonly spec: { readonly priority: number } }

/** Changes of a class's reason that are kept for the stories of its jobs. */
const HISTORY_MAX = 20

/**
 * Jobs of one queue with one shape. If the first of them does not fit, none does: a round looks at
 * classes, never at the jobs behind the first, and the reason is one for all.
 */
export class JobClass<J extends WaitingJob> {
  readonly key: string
  readonly gang: GangSpec
  reason: Reason
  /** Newest last. */
  history: { readonly atMs: number; readonly reason: Reason }[] = []
  /** Gains of fleet and queue at the last attempt in vain. Not part of the JSON. */
  tried = { fleet: -1, queue: -1 }
  /** Version of fleet and use of queue for which `reason` was computed. Not part of the JSON. */
  explained = { fleet: -1, queue: -1 }
  #jobs: J[] = []
  #head = 0

  constructor(key: string, gang: GangSpec, reason: Reason) {
    this.key = key
    this.gang = gang
    this.reason = reason
  }

  get size(): number {
    return this.#jobs.length - this.#head
  }

  /** The job at `index` in order, from 0. */
  at(index: number): J | undefined {
    return this.#jobs[this.#head + index]
  }

  add(job: J): void {
    const at = this.#search(job)
    if (at === this.#jobs.length) this.#jobs.push(job)
    else this.#jobs.splice(at, 0, job)
  }

  remove(job: J): void {
    const at = this.#search(job)
    invariant(this.#jobs[at] === job, 'a waiting job is not in its class')
    if (at === this.#head) {
      this.#head++
      if (this.#head > 1024 && this.#head * 2 > this.#jobs.length) {
        this.#jobs = this.#jobs.slice(this.#head)
        this.#head = 0
      }
    } else this.#jobs.splice(at, 1)
  }

  /** Jobs before the given one. */
  before(job: J): number {
    return this.#search(job) - this.#head
  }

  setReason(reason: Reason, atMs: number): void {
    const changed = this.reason.code !== reason.code || this.history.length === 0
    this.reason = reason
    if (!changed) return
    this.history.push({ atMs, reason })
    if (this.history.length > HISTORY_MAX) this.history.shift()
  }

  #search(job: J): number {
    let low = this.#head
    let high = this.#jobs.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (goesBefore(this.#jobs[middle]!, job)) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Order inside a queue: higher priority, then earlier submission. */
export function goesBefore(a: WaitingJob, b: WaitingJob): boolean {
  if (a.spec.priority !== b.spec.priority) return a.spec.priority > b.spec.priority
  return a.order < b.order
}
