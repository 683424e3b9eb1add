/** Many runs on several threads. */
import { Worker } from 'node:worker_threads'
import { errorText } from './error-text.ts'
import type { RunResult } from './run.ts'

/** Which runs. */
export interface ManyInit {
  /** Scenario names; run number i takes the (i mod n)-th. */
  readonly scenarios: readonly string[]
  /** Seed of the first run, below 2³²; each further one is one higher, 0 after the highest. */
  readonly firstSeed: number
  readonly count: number
  /** Threads. */
  readonly workers: number
  /** No run begins after so long, ms of real time. */
  readonly limitMs?: number
  /** A run that alarms ends the rest. Default false. */
  readonly stopAtAlarm?: boolean
  /** Told of each run as it ends, in no certain order. */
  readonly onResult?: (result: RunResult, realMs: number) => void
  /** Module that each thread runs. Default: the one that simulates. */
  readonly thread?: URL
}

/** What a thread is asked for. */
export interface Order {
  readonly scenario: string
  readonly seed: number
}

/** What a thread answers. */
export type Delivery =
  | { readonly ok: true; readonly result: RunResult; readonly realMs: number }
  | { readonly ok: false; readonly error: string }

/** Checker of the alarm of a run that the program itself did not survive. */
export const PROCESS = 'process'

const SELF = new URL(import.meta.url)
/** Beside this file, compiled or not. */
const THREAD = new URL(`./worker${SELF.pathname.endsWith('.ts') ? '.ts' : '.js'}`, SELF)

/** What became of an order; a failure is the end of its thread. */
type Ending = Delivery & { readonly realMs: number }

/** Waits for what a thread makes of an order, whatever happens to the thread. */
function carriedOut(worker: Worker, order: Order): Promise<Ending> {
  const startedMs = performance.now()
  const failed = (error: string): Ending => {
    return { ok: false, error, realMs: performance.now() - startedMs }
  }
  return new Promise((resolve) => {
    const end = (ending: Ending): void => {
      worker.off('message', delivered).off('error', broken).off('exit', gone)
      resolve(ending)
    }
    const delivered = (delivery: Delivery): void => {
      end(delivery.ok ? delivery : failed(delivery.error))
    }
    // What nobody awaited and was rejected, what a timer threw, no more memory.
    const broken = (error: unknown): void => end(failed(errorText(error)))
    const gone = (code: number): void => end(failed(`the thread ended by itself, code ${code}`))
    worker.on('message', delivered).on('error', broken).on('exit', gone)
    worker.postMessage(order)
  })
}

/** The result of a run that came to no end: an alarm, so that it counts and can be had again. */
function failure({ scenario, seed }: Order, message: string): RunResult {
  return {
    ...{ scenario, seed, hash: '', last: [], faults: {} },
    ...{ simMs: 0, events: 0, commits: 0, leaderChanges: 0, jobs: 0, tasksStarted: 0 },
    alarms: [{ checker: PROCESS, atMs: 0, about: '', message }],
  }
}

class Crew {
  readonly #init: ManyInit
  readonly #results: RunResult[] = []
  readonly #startedMs = performance.now()
  #next = 0
  #stop = false

  constructor(init: ManyInit) {
    this.#init = init
  }

  #order(): Order | undefined {
    const { count, limitMs = Number.POSITIVE_INFINITY, scenarios, firstSeed } = this.#init
    const late = performance.now() - this.#startedMs >= limitMs
    if (this.#stop || late || this.#next >= count) return undefined
    const number = this.#next
    this.#next += 1
    return { scenario: scenarios[number % scenarios.length]!, seed: (firstSeed + number) >>> 0 }
  }

  #taken(result: RunResult, realMs: number): void {
    this.#results.push(result)
    this.#init.onResult?.(result, realMs)
    if (this.#init.stopAtAlarm === true && result.alarms.length > 0) this.#stop = true
  }

  async #work(): Promise<void> {
    let worker: Worker | undefined
    try {
      for (let order = this.#order(); order !== undefined; order = this.#order()) {
        worker ??= new Worker(this.#init.thread ?? THREAD)
        const ending = await carriedOut(worker, order)
        if (!ending.ok) {
          // What the failure has left behind shall not reach the next run.
          await worker.terminate()
          worker = undefined
        }
        this.#taken(ending.ok ? ending.result : failure(order, ending.error), ending.realMs)
      }
    } finally {
      await worker?.terminate()
    }
  }

  async run(): Promise<readonly RunResult[]> {
    await Promise.all(Array.from({ length: this.#init.workers }, () => this.#work()))
    return this.#results.sort((a, b) => a.seed - b.seed)
  }
}

/**
 * Runs them; results by seed. Which thread runs what changes nothing in any run. A run that throws,
 * leaves a rejection that nobody awaits, or takes its thread with it, is a result with an alarm of
 * {@link PROCESS}, and the others go on.
 */
export function runMany(init: ManyInit): Promise<readonly RunResult[]> {
  return new Crew(init).run()
}
