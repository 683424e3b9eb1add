import { REQUEST_TIMEOUT_MAX_MS } from '@serverless-ai/contracts/services'
import { type Clock, type Logger, RpcError, type Timer, type Timers } from '@serverless-ai/kernel'
import type { TelemetryBus, TelemetrySubscription } from '@serverless-ai/telemetry-bus'
import { batchFromProto } from '../adapters/telemetry.ts'
import { clausesOf } from '../core/clauses.ts'
import type { Signals } from '../core/messages.ts'
import type { AutoscalerState } from '../core/model.ts'
import { isActive } from '../core/observe.ts'
import { type Moment, SignalBook } from '../core/signals.ts'
import { rowsToStep } from '../core/step.ts'
import type { AutoscalerRuntime } from './definition.ts'

/** An idle time that is so short is waited for from its beginning, not from the next step on. */
const HASTY_MS = 10_000
/** Least time between two steps then, in parts of one. */
const HURRY = 0.5

/** How often it is decided, and when training may have devices back. */
export interface StepSettings {
  /** Time between two steps, ms. */
  readonly stepMs: number
  /** Devices have to have been free for so long, ms. */
  readonly giveBackAfterMs: number
}

/** What a gate says at once. */
export interface Demanded {
  readonly jobId: string
  readonly gateway: string
  readonly queued: number
}

/**
 * Gathers what gates measure and has it decided upon, once a step while anything is to be decided
 * and at once when requests are held for a service at zero. A follower gathers as well: when it
 * leads it knows what is now.
 */
export class Stepper {
  readonly #runtime: AutoscalerRuntime
  readonly #ports: { readonly clock: Clock; readonly timers: Timers; readonly logger: Logger }
  readonly #settings: StepSettings
  readonly #book: SignalBook
  #subscription: TelemetrySubscription | undefined
  #timer: Timer | undefined
  #leading = false
  #stepping = false
  #stopped = false
  /** Services that go to zero after a short time without a request. */
  readonly #hasty = new Set<string>()
  #steppedMs = 0
  /** Somebody asked for a step while one was going on. */
  #again = false
  /** Measurements that no step got to see, because it was not carried out. */
  lostSteps = 0
  /** Batches of gates that were heard. */
  batches = 0

  constructor(
    runtime: AutoscalerRuntime,
    ports: { readonly clock: Clock; readonly timers: Timers; readonly logger: Logger },
    settings: StepSettings,
  ) {
    this.#runtime = runtime
    this.#ports = ports
    this.#settings = settings
    this.#book = new SignalBook(ports.clock.monotonicMs())
    runtime.onLeadership((leading) => {
      this.#leading = leading
      this.#arm()
    })
  }

  /** True while this replica decides. */
  get leading(): boolean {
    return this.#leading
  }

  /** Without a bus nothing is ever known of requests but what gates say at once. */
  start(bus: TelemetryBus | undefined): void {
    if (bus === undefined) return
    this.#subscription = bus.subscribe()
    void this.#read(this.#subscription)
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#subscription?.close()
  }

  /** Requests are held: remembered, and decided upon at once where there is no replica. */
  demand(about: Demanded, atZero: boolean): void {
    this.#book.demand(about, this.#now())
    if (atZero) void this.#step()
  }

  #now(): Moment {
    const { clock } = this.#ports
    return { wallMs: clock.wallMs(), monoMs: clock.monotonicMs() }
  }

  async #read(batches: TelemetrySubscription): Promise<void> {
    for await (const { batch, missingMs } of batches) {
      const facts = batchFromProto(batch, missingMs)
      if (facts === undefined) continue
      this.batches += 1
      this.#hurry(this.#book.take(facts, this.#now()))
    }
  }

  /** A service that may soon go to zero has nothing to do: the time counts from now. */
  #hurry(calm: readonly string[]): void {
    if (!calm.some((jobId) => this.#hasty.has(jobId)) || this.#timer === undefined) return
    const sinceMs = this.#ports.clock.monotonicMs() - this.#steppedMs
    this.#arm(Math.max(0, HURRY * this.#settings.stepMs - sinceMs))
  }

  #arm(afterMs = this.#settings.stepMs): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (!this.#leading || this.#stopped) return
    this.#timer = this.#ports.timers.after(afterMs, () => {
      this.#timer = undefined
      void this.#step()
    })
  }

  async #step(): Promise<void> {
    if (!this.#leading || this.#stopped) return
    if (this.#stepping) {
      this.#again = true
      return
    }
    this.#stepping = true
    this.#steppedMs = this.#ports.clock.monotonicMs()
    try {
      const { value: rows } = await this.#runtime.read((state, { atMs }) => this.#rows(state, atMs))
      if (rows !== undefined) {
        const longestMs = REQUEST_TIMEOUT_MAX_MS
        await this.#runtime.execute({ type: 'Step', rows, ...this.#settings, longestMs })
      }
    } catch (error) {
      this.lostSteps += 1
      const code = error instanceof RpcError ? error.reason : String(error)
      this.#ports.logger.log('warn', 'a step of the autoscaler was not carried out', { code })
    } finally {
      this.#stepping = false
      this.#arm()
      if (this.#again) {
        this.#again = false
        void this.#step()
      }
    }
  }

  /** What is known of each service, where that calls for a decision. */
  #rows(state: AutoscalerState, atMs: number): readonly Signals[] | undefined {
    this.#book.keep((jobId) => state.targets.has(jobId))
    const rows: Signals[] = []
    const now = this.#now()
    this.#hasty.clear()
    for (const target of state.targets.values()) {
      const { jobId, service, busy } = target
      if (service === undefined || target.mode === 'off') continue
      if (service.settings.idleMs <= HASTY_MS) this.#hasty.add(jobId)
      const row = this.#book.row(jobId, { clauses: clausesOf(state, target), seeds: busy }, now)
      if (this.#subscription !== undefined) rows.push(row)
      // Without a bus only what gates say at once is a reason to look, and nobody saw a rest.
      else if (isActive(row)) rows.push({ ...row, restMs: 0 })
    }
    return rowsToStep(state, rows, Math.max(atMs, now.wallMs))
  }
}
