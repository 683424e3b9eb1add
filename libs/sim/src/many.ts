/** Many runs on several threads. */
import { Worker } from 'node:worker_threads'
import type { RunResult } from './run.ts'

/** Which runs. */
export interface ManyInit {
  /** Scenario names; run number i takes the (i mod n)-th. */
  readonly scenarios: readonly string[]
  /** Seed of the first run; each further one is one higher. */
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

const SELF = new URL(import.meta.url)
/** Beside this file, compiled or not. */
const WORKER = new URL(`./worker${SELF.pathname.endsWith('.ts') ? '.ts' : '.js'}`, SELF)

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
    return { scenario: scenarios[number % scenarios.length]!, seed: firstSeed + number }
  }

  #taken(delivery: Delivery): void {
    if (!delivery.ok) throw new Error(delivery.error)
    const { result, realMs } = delivery
    this.#results.push(result)
    this.#init.onResult?.(result, realMs)
    if (this.#init.stopAtAlarm === true && result.alarms.length > 0) this.#stop = true
  }

  async #work(): Promise<void> {
    const worker = new Worker(WORKER)
    try {
      await new Promise<void>((resolve, reject) => {
        const next = (): void => {
          const order = this.#order()
          if (order === undefined) resolve()
          else worker.postMessage(order)
        }
        worker.on('error', reject)
        worker.on('exit', (code) => reject(new Error(`a thread ended by itself, code ${code}`)))
        worker.on('message', (delivery: Delivery) => {
          try {
            this.#taken(delivery)
            next()
          } catch (error) {
            reject(error)
          }
        })
        next()
      })
    } finally {
      await worker.terminate()
    }
  }

  async run(): Promise<readonly RunResult[]> {
    await Promise.all(Array.from({ length: this.#init.workers }, () => this.#work()))
    return this.#results.sort((a, b) => a.seed - b.seed)
  }
}

/** Runs them; results by seed. Which thread runs what changes nothing in any run. */
export function runMany(init: ManyInit): Promise<readonly RunResult[]> {
  return new Crew(init).run()
}
