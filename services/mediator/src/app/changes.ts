import type { Timers } from '@serverless-ai/kernel'
import type { EffectiveChange } from '@serverless-ai/runtime'
import type { MediatorEvent } from '../core/messages.ts'
import type { JobRecord, MediatorState } from '../core/model.ts'
import type { MediatorRuntime } from './definition.ts'

/** A job after a commit; undefined when it was forgotten. Read it at once. */
export type JobListener = (
  job: JobRecord | undefined,
  at: { readonly position: number; readonly token: string },
) => void

const jobOf = (event: MediatorEvent): string =>
  event.type === 'JobStateObserved' ? event.view.jobId : event.jobId

/** Listeners of single jobs. */
class Listeners<L> {
  readonly #byJob = new Map<string, Set<L>>()
  #count = 0

  get count(): number {
    return this.#count
  }

  of(jobId: string): Iterable<L> {
    return this.#byJob.get(jobId) ?? []
  }

  /** Returns how to take it out. */
  add(jobId: string, listener: L): () => void {
    const listeners = this.#byJob.get(jobId) ?? new Set()
    this.#byJob.set(jobId, listeners)
    listeners.add(listener)
    this.#count += 1
    return () => {
      if (!listeners.delete(listener)) return
      this.#count -= 1
      if (listeners.size === 0) this.#byJob.delete(jobId)
    }
  }
}

/** Tells listeners of single jobs what changed, once per commit. */
export class JobChanges {
  readonly #listeners = new Listeners<JobListener>()

  constructor(runtime: Pick<MediatorRuntime, 'onEffective'>) {
    runtime.onEffective((change) => this.#tell(change))
  }

  /** Number of listeners. */
  get count(): number {
    return this.#listeners.count
  }

  /** Calls `listener` after each commit that changes the job. Returns how to stop. */
  listen(jobId: string, listener: JobListener): () => void {
    return this.#listeners.add(jobId, listener)
  }

  #tell({ events, state, position, token }: EffectiveChange<MediatorState, MediatorEvent>): void {
    if (this.count === 0) return
    for (const jobId of new Set(events.map(jobOf))) {
      for (const listener of this.#listeners.of(jobId)) {
        listener(state.jobs.get(jobId), { position, token })
      }
    }
  }
}

/** Tells those who wait for the scheduler to take a job. */
export class TakenJobs {
  readonly #waiting = new Listeners<() => void>()

  /** Calls `taken` when the scheduler has the job. Returns how to stop. */
  await(jobId: string, taken: () => void): () => void {
    return this.#waiting.add(jobId, taken)
  }

  /** The scheduler has the job. */
  tell(jobId: string): void {
    for (const taken of this.#waiting.of(jobId)) taken()
  }
}

/** A flag that can be waited for, with a limit. */
export class Wake {
  #set = false
  #resolve: (() => void) | undefined

  set(): void {
    this.#set = true
    this.#resolve?.()
  }

  /** Waits until it is set (and clears it) or `ms` have passed; says which. Rejects on abort. */
  async wait(timers: Timers, ms: number, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted()
    if (!this.#set) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      this.#resolve = resolve
      const timer = timers.after(ms, resolve)
      const abort = () => reject(signal.reason)
      signal.addEventListener('abort', abort, { once: true })
      try {
        await promise
      } finally {
        timer.cancel()
        signal.removeEventListener('abort', abort)
        this.#resolve = undefined
      }
    }
    const was = this.#set
    this.#set = false
    return was
  }
}
