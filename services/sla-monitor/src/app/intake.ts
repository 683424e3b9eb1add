import { type Clock, type Logger, RpcError, type Timer, type Timers } from '@serverless-ai/kernel'
import type { TelemetryBus, TelemetrySubscription } from '@serverless-ai/telemetry-bus'
import { batchFromProto, countsSource } from '../adapters/telemetry.ts'
import type { BatchFacts } from '../core/messages.ts'
import type { SlaRuntime } from './definition.ts'

/** How long batches gather before they are counted, ms. */
export const GATHER_MS = 1_000
/** Batches that wait, here and on a follower; the oldest go first and show as missing. */
const MAX_WAITING = 4_000
/** Requests that wait in them. */
const MAX_REQUESTS = 200_000
/** Requests in one count. */
const COUNT_REQUESTS = 20_000
/** How long a follower keeps batches for the time that it leads, ms. */
const KEEP_MS = 60_000

interface Waiting {
  readonly facts: BatchFacts
  readonly heardMs: number
}

/**
 * Takes the batches of the bus to the core. A follower keeps those of the last minute: when it
 * leads it counts them, and the marks in the log leave out what its predecessor counted.
 */
export class TelemetryIntake {
  readonly #runtime: SlaRuntime
  readonly #ports: { readonly clock: Clock; readonly timers: Timers; readonly logger: Logger }
  #waiting: Waiting[] = []
  #requests = 0
  #timer: Timer | undefined
  #subscription: TelemetrySubscription | undefined
  #leading = false
  #wanted = false
  #counting = false
  /** Batches whose envelope was impossible. */
  rejected = 0
  /** Batches that did not wait for their count: too many of them. */
  overrun = 0

  constructor(
    runtime: SlaRuntime,
    ports: { readonly clock: Clock; readonly timers: Timers; readonly logger: Logger },
  ) {
    this.#runtime = runtime
    this.#ports = ports
    runtime.onLeadership((leading) => {
      this.#leading = leading
      this.#arm()
    })
    runtime.onEffective(({ state }) => {
      this.#wanted = state.intakeSinceMs > 0
    })
  }

  /** Batches that wait. */
  get waiting(): number {
    return this.#waiting.length
  }

  start(bus: TelemetryBus): void {
    this.#subscription = bus.subscribe()
    void this.#read(this.#subscription)
  }

  stop(): void {
    this.#timer?.cancel()
    this.#subscription?.close()
  }

  async #read(batches: TelemetrySubscription): Promise<void> {
    for await (const { batch } of batches) {
      if (!countsSource(batch.source)) continue
      const facts = batchFromProto(batch)
      if (facts === undefined) this.rejected += 1
      else this.#take(facts)
    }
  }

  #take(facts: BatchFacts): void {
    const heardMs = this.#ports.clock.monotonicMs()
    this.#waiting.push({ facts, heardMs })
    this.#requests += facts.requests.length
    this.#trim(heardMs)
    this.#arm()
  }

  /** Forgets what nobody will count: too old on a follower, too much anywhere. */
  #trim(nowMs: number): void {
    for (;;) {
      const [oldest] = this.#waiting
      if (oldest === undefined) return
      const crowded = this.#waiting.length > MAX_WAITING || this.#requests > MAX_REQUESTS
      if (!crowded && (this.#leading || nowMs - oldest.heardMs <= KEEP_MS)) return
      if (crowded && this.#leading) this.overrun += 1
      this.#waiting.shift()
      this.#requests -= oldest.facts.requests.length
    }
  }

  #arm(): void {
    if (!this.#leading || this.#waiting.length === 0 || this.#counting) return
    this.#timer ??= this.#ports.timers.after(GATHER_MS, () => {
      this.#timer = undefined
      void this.#count()
    })
  }

  async #count(): Promise<void> {
    if (!this.#leading) return
    // While nobody promised anything about requests there is nothing to count.
    if (!this.#wanted) {
      const read = await this.#runtime
        .read(({ intakeSinceMs }) => intakeSinceMs > 0)
        .catch(() => undefined)
      this.#wanted = read?.value === true
    }
    if (!this.#wanted) {
      this.#waiting = []
      this.#requests = 0
      return
    }
    const taken = this.#next()
    this.#counting = true
    try {
      const batches = taken.map(({ facts }) => facts)
      await this.#runtime.execute({ type: 'CountBatches', batches })
    } catch (error) {
      // Whether they were counted or not: they wait, and the marks in the log know.
      this.#waiting = [...taken, ...this.#waiting]
      for (const { facts } of taken) this.#requests += facts.requests.length
      const code = error instanceof RpcError ? error.reason : String(error)
      this.#ports.logger.log('warn', 'measurements wait to be counted', { code })
    } finally {
      this.#counting = false
      this.#arm()
    }
  }

  #next(): readonly Waiting[] {
    let requests = 0
    let count = 0
    for (const { facts } of this.#waiting) {
      if (count > 0 && requests + facts.requests.length > COUNT_REQUESTS) break
      requests += facts.requests.length
      count += 1
    }
    const taken = this.#waiting.slice(0, count)
    this.#waiting = this.#waiting.slice(count)
    this.#requests -= requests
    return taken
  }
}
