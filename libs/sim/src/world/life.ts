import type { MemoryLog } from '@serverless-ai/eventlog'
import type { Clock, Timer, Timers } from '@serverless-ai/kernel'
import { Gate } from '@serverless-ai/kernel/testing'
import type { VanishingServer } from '@serverless-ai/rpc'
import type { MachineClock } from './clock.ts'
import { HeapTime, sleepOn } from './time.ts'
import type { SimWire } from './wire.ts'

/** When a process dies at an operation of a port. */
export interface CrashPoint {
  /** Operations until then, at least 1. */
  left: number
  readonly moment: 'before' | 'after'
}

const noTimer: Timer = { cancel: () => undefined }

/**
 * One life of a process, from start to death: all that exists for it outside of its own memory, and
 * the gate that everything passes which comes to it.
 */
export class Life {
  readonly process: string
  readonly machine: string
  readonly gate = new Gate()
  readonly time: HeapTime
  readonly clock: MachineClock
  readonly timers: Timers
  /** Timers that are set. */
  readonly rings = new Set<Timer>()
  /** Disk operations that run: what cuts each off. */
  readonly underWay = new Set<() => void>()
  /** Calls that have an end here. */
  readonly wires = new Set<SimWire>()
  readonly servers: VanishingServer[] = []
  /** Called when it is over. */
  readonly mourners: (() => void)[] = []
  log: MemoryLog | undefined
  crash: CrashPoint | undefined
  /** Nothing answers its peers: paused, or gone with its machine. */
  silent = false
  readonly #die: () => void

  constructor(init: {
    process: string
    machine: string
    time: HeapTime
    clock: MachineClock
    die: () => void
  }) {
    this.process = init.process
    this.machine = init.machine
    this.time = init.time
    this.clock = init.clock
    this.#die = init.die
    this.timers = this.#makeTimers()
  }

  get dead(): boolean {
    return this.gate.state === 'dead'
  }

  /** An operation of a port: counted, and nothing when dead. */
  operate(effect: () => void): void {
    if (this.dead) return
    const { crash } = this
    if (crash === undefined) effect()
    else this.#count(crash, effect)
  }

  /** Tells the process how an operation ended: not in the same turn, as it may die of it first. */
  answer<T>(
    outcome: Promise<T>,
    caller: { resolve: (value: T) => void; reject: (error: unknown) => void },
  ): void {
    outcome.then(
      (value) => this.gate.pass(() => caller.resolve(value)),
      (error: unknown) => this.gate.pass(() => caller.reject(error)),
    )
  }

  #count(crash: CrashPoint, effect: () => void): void {
    crash.left -= 1
    if (crash.left > 0) {
      effect()
      return
    }
    this.crash = undefined
    if (crash.moment === 'after') effect()
    this.#die()
  }

  #makeTimers(): Timers {
    const after = (ms: number, fn: () => void): Timer => {
      let timer = noTimer
      this.operate(() => {
        timer = new LifeTimer(this, ms, fn)
      })
      return timer
    }
    return {
      after,
      sleep: (ms, signal) => sleepOn({ after }, ms, signal),
      yieldTurn: () => sleepOn({ after }, 0, undefined),
    }
  }

  /** Frees everything at once; what it held can be collected. */
  end(): void {
    this.gate.kill()
    this.log?.kill()
    for (const timer of [...this.rings]) timer.cancel()
    for (const cutOff of this.underWay) cutOff()
    for (const server of this.servers) server.vanish()
    this.underWay.clear()
    this.servers.length = 0
  }
}

/** A timer of a process: on its machine's clock, through its gate. */
class LifeTimer implements Timer {
  readonly #life: Life
  readonly #inner: Timer
  #fn: (() => void) | undefined

  constructor(life: Life, ms: number, fn: () => void) {
    this.#life = life
    this.#fn = fn
    this.#inner = life.time.at(life.clock.momentAfter(ms), this.#due)
    life.rings.add(this)
  }

  readonly #due = (): void => this.#life.gate.pass(this.#ring)

  readonly #ring = (): void => {
    const fn = this.#fn
    this.cancel()
    fn?.()
  }

  cancel(): void {
    if (this.#fn === undefined) return
    this.#fn = undefined
    this.#inner.cancel()
    this.#life.rings.delete(this)
  }
}

/** Clock port of a machine. */
export const clockPort = (clock: MachineClock): Clock => ({
  wallMs: () => clock.wallMs(),
  monotonicMs: () => clock.monotonicMs(),
  bootMs: () => clock.bootMs(),
})
