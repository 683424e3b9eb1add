import type { Transport } from '@serverless-ai/kernel'
import type { SeededRandomness } from '@serverless-ai/kernel/testing'
import { type MemoryNetwork, memoryNetwork, type VanishingServer } from '@serverless-ai/rpc'
import type { Life } from './life.ts'
import type { HeapTime } from './time.ts'
import type { LinkFaults, SimNetwork, Trace } from './types.ts'
import { SimWire } from './wire.ts'

/** What the network asks of the world. */
export interface NetworkHost {
  readonly time: HeapTime
  readonly trace: Trace
  readonly random: SeededRandomness
  /** The present life of a process. */
  lifeOf(process: string): Life | undefined
  /** All present lives. */
  lives(): Iterable<Life>
  /** Name of the machine of a process. */
  machineOf(process: string): string | undefined
  /** Whether the machine of a process is on. */
  isOn(process: string): boolean
}

const LOG = 'log'
const ALL = '*'

const pairOf = (one: string, other: string): string =>
  one < other ? `${one} ${other}` : `${other} ${one}`

/** The network of a world: a memory network whose links are faulty. */
export class FaultyNetwork implements SimNetwork {
  readonly time: HeapTime
  readonly random: SeededRandomness
  /** Calls that hold messages back. */
  readonly holding = new Set<SimWire>()
  readonly #host: NetworkHost
  readonly #memory: MemoryNetwork
  #default: LinkFaults
  readonly #between = new Map<string, LinkFaults>()
  readonly #blocked = new Set<string>()

  constructor(host: NetworkHost, faults: LinkFaults) {
    this.#host = host
    this.time = host.time
    this.random = host.random
    this.#default = faults
    this.#memory = memoryNetwork({ timers: host.time })
  }

  transport(life: Life): Transport {
    const open = (call: SimWire['call']): SimWire =>
      new SimWire(this, life, call, processOf(call.address))
    return this.#memory.transport({ timers: life.timers, link: { open } })
  }

  server(...options: Parameters<MemoryNetwork['server']>): VanishingServer {
    return this.#memory.server(...options)
  }

  lifeOf(process: string): Life | undefined {
    return this.#host.lifeOf(process)
  }

  isOn(process: string): boolean {
    return this.#host.isOn(process)
  }

  setDefault(faults: LinkFaults): void {
    this.#default = faults
  }

  setBetween(one: string, other: string, faults: LinkFaults | undefined): void {
    if (faults === undefined) this.#between.delete(pairOf(one, other))
    else this.#between.set(pairOf(one, other), faults)
  }

  partition(one: string, other: string): void {
    this.#note(one, 'partition', other)
    this.#blocked.add(pairOf(one, other))
    this.#changed()
  }

  heal(one: string, other: string): void {
    this.#note(one, 'heal', other)
    this.#blocked.delete(pairOf(one, other))
    this.#changed()
  }

  healAll(): void {
    this.#note(ALL, 'heal', ALL)
    this.#blocked.clear()
    this.#changed()
  }

  connected(one: string, other: string): boolean {
    return !this.#blocked.has(pairOf(one, other))
  }

  reset(process: string): void {
    for (const wire of [...(this.#host.lifeOf(process)?.wires ?? [])]) wire.break()
  }

  #note(one: string, what: string, other: string): void {
    this.#host.trace.note('network', `${what} ${pairOf(one, other)}`, () => {
      return `${what} between ${one} and ${other}`
    })
  }

  #changed(): void {
    for (const life of this.#host.lives()) {
      this.reachLog(life)
      for (const wire of life.wires) wire.refresh()
    }
    for (const wire of [...this.holding]) {
      if (this.isBlocked(wire)) continue
      this.holding.delete(wire)
      wire.flush()
    }
  }

  /** Cuts the process off the log, or not. */
  reachLog(life: Life): void {
    const cut = [life.process, life.machine].some((name) => this.#blocked.has(pairOf(name, LOG)))
    if (cut) life.log?.cut()
    else life.log?.mend()
  }

  isBlocked({ from, to }: SimWire): boolean {
    if (this.#blocked.size === 0) return false
    // A process reaches its own machine whatever the network does.
    const machine = this.#host.machineOf(to) ?? to
    if (machine === from.machine) return this.#blocked.has(pairOf(from.process, to))
    return this.#find(from, to, machine, (pair) => this.#blocked.has(pair) || undefined) === true
  }

  /** First answer for any of the pairs of names that the two ends go by, the closest first. */
  #find<T>(
    from: Life,
    to: string,
    machine: string,
    look: (pair: string) => T | undefined,
  ): T | undefined {
    for (const one of [from.process, from.machine]) {
      for (const other of [to, machine]) {
        const found = look(pairOf(one, other))
        if (found !== undefined) return found
      }
    }
    for (const name of [from.process, from.machine, to, machine]) {
      const found = look(pairOf(name, ALL))
      if (found !== undefined) return found
    }
    return undefined
  }

  faultsOf({ from, to }: SimWire): LinkFaults {
    if (this.#between.size === 0) return this.#default
    const machine = this.#host.machineOf(to) ?? to
    return this.#find(from, to, machine, (pair) => this.#between.get(pair)) ?? this.#default
  }

  delayMs(wire: SimWire): number {
    const [minMs, maxMs] = this.faultsOf(wire).delayMs
    return minMs + this.random.float() * (maxMs - minMs)
  }

  noteMessage({ call, from, to }: SimWire, end: string, bytes: number, first: boolean): void {
    // What only steers a call says nothing new.
    if (bytes === 0 && !first) return
    const out = end === 'server'
    this.#host.trace.note(from.process, `${out ? '>' : '<'} ${call.path} ${to} ${bytes}`, () => {
      return `${call.path} ${out ? 'to' : 'answer of'} ${to}, ${bytes} bytes`
    })
  }

  noteFault({ call, from, to }: SimWire, what: string): void {
    this.#host.trace.note('network', `${what} ${from.process} ${to} ${call.path}`, () => {
      return `${call.path} from ${from.process} to ${to}: ${what}`
    })
  }
}

/** The process that an address names: its host. */
export const processOf = (address: string): string => address.replace(/:\d+$/, '')
