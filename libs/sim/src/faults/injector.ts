/** Faults at seeded moments, with seeded victims and lengths. */
import type { MemoryLogFaults } from '@serverless-ai/eventlog'
import type { SeededRandomness } from '@serverless-ai/kernel/testing'
import type { Observation } from '../check/types.ts'
import type { SimNode } from '../plane/types.ts'
import { FAULT_KINDS, type FaultKind, type FaultMix } from '../scenarios/types.ts'
import type { Machine, SimProcess, World } from '../world/types.ts'
import { STRIKES, type Strike } from './strikes.ts'

/** What faults may hit. */
export interface Victims {
  readonly processes: readonly SimProcess[]
  readonly nodes: readonly SimNode[]
  /** Machines of both. */
  readonly machines: readonly Machine[]
  /** How the log is to a process while no fault of it is on. */
  readonly calmLog: MemoryLogFaults
}

/** What the injector needs. */
export interface InjectorInit {
  readonly world: World
  readonly random: SeededRandomness
  readonly victims: Victims
  readonly mix: FaultMix
  /** Nothing is done to the victims. Default false. */
  readonly harmless?: boolean
  readonly observe: (observation: Observation) => void
}

/** A fault that is on: how to end it. */
interface Active {
  readonly kind: FaultKind
  readonly target: string
  readonly end: () => void
}

/** Begins faults until it is told to heal. */
export class Injector {
  readonly #init: InjectorInit
  readonly #active = new Set<Active>()
  #healed = false
  /** Faults that were begun, by kind. */
  readonly counts: Partial<Record<FaultKind, number>> = {}

  constructor(init: InjectorInit) {
    this.#init = init
  }

  start(): void {
    // In the order of the kinds, each with randomness of its own: a kind that is left out does not
    // shift the others.
    for (const kind of FAULT_KINDS) {
      const random = this.#init.random.fork()
      const meanMs = this.#init.mix[kind]
      if (meanMs !== undefined) this.#next(kind, meanMs, random)
    }
  }

  /** Ends all faults, in the order of their beginning; no more begin. */
  heal(): void {
    this.#healed = true
    for (const active of [...this.#active]) this.#end(active)
    this.#init.world.network.healAll()
  }

  #next(kind: FaultKind, meanMs: number, random: SeededRandomness): void {
    // Exponential gaps: faults come in bunches, as they do. Never two of a kind at one moment.
    const gapMs = 100 - meanMs * Math.log(1 - random.float())
    this.#init.world.time.after(gapMs, () => {
      if (this.#healed) return
      this.#begin(kind, random)
      this.#next(kind, meanMs, random)
    })
  }

  #begin(kind: FaultKind, random: SeededRandomness): void {
    const { world, victims, observe } = this.#init
    const strike: Strike | undefined = STRIKES[kind]({ world, victims, random })
    if (strike === undefined) return
    this.counts[kind] = (this.counts[kind] ?? 0) + 1
    const { target, lastsMs } = strike
    const harmless = this.#init.harmless === true
    const active = { kind, target, end: harmless ? () => undefined : strike.end }
    this.#active.add(active)
    observe({ kind: 'fault', atMs: world.time.nowMs, fault: kind, target, begins: true })
    world.trace.note('faults', `${kind} ${target}`, () => {
      return `${kind} of ${target} for ${(lastsMs / 1000).toFixed(1)} s`
    })
    if (!harmless) strike.begin()
    world.time.after(lastsMs, () => this.#end(active))
  }

  #end(active: Active): void {
    if (!this.#active.delete(active)) return
    const { world, observe } = this.#init
    const { kind: fault, target } = active
    active.end()
    world.trace.note('faults', `end ${fault} ${target}`, () => `${fault} of ${target} is over`)
    observe({ kind: 'fault', atMs: world.time.nowMs, fault, target, begins: false })
  }
}
