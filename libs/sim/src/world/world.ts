import {
  createMemoryLogStore,
  type MemoryLogFaults,
  type MemoryLogStore,
} from '@serverless-ai/eventlog'
import { type SeededRandomness, seededRandomness } from '@serverless-ai/kernel/testing'
import { MachineDisk } from './disk.ts'
import type { Life } from './life.ts'
import { SimMachine } from './machine.ts'
import { FaultyNetwork } from './network.ts'
import type { WorldProcess } from './process.ts'
import { HeapTime } from './time.ts'
import { RollingTrace } from './trace.ts'
import type { Landed, World, WorldOptions } from './types.ts'

const DEFAULT_LOG: MemoryLogFaults = {
  sendDelayMs: [0.5, 2],
  ackDelayMs: [0.5, 2],
  readDelayMs: [0.1, 1],
}

/** FNV-1a over the text, mixed with the seed: 32 bits. */
function seedFor(seed: number, text: string): number {
  let hash = 0x811c9dc5 ^ seed
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  return hash >>> 0
}

/** See {@link World}. */
export class SimWorld implements World {
  readonly seed: number
  readonly time = new HeapTime()
  readonly random: SeededRandomness
  readonly trace: RollingTrace
  readonly network: FaultyNetwork
  readonly store: MemoryLogStore
  readonly logFaults: MemoryLogFaults
  /** What all processes share, as an object store. */
  readonly sharedDisk: MachineDisk
  readonly diskTroubles: Record<string, number> = {}
  readonly #wallMs: number
  readonly #machines = new Map<string, SimMachine>()
  readonly #processes = new Map<string, WorldProcess>()
  readonly #listeners: ((record: Landed) => void)[] = []

  constructor(options: WorldOptions) {
    this.seed = options.seed >>> 0
    this.random = seededRandomness(this.seed)
    this.trace = new RollingTrace(this.time, options.onEntry)
    this.logFaults = options.log ?? DEFAULT_LOG
    this.sharedDisk = new MachineDisk(this.time, this.randomFor('shared disk'), (what) => {
      this.troubled(`shared ${what}`)
    })
    this.#wallMs = options.wallMs ?? 1_700_000_000_000
    this.store = createMemoryLogStore({
      onLand: ({ topic, partition }, records) => {
        for (const record of records) this.#landed({ ...record, topic, partition })
      },
    })
    const host = {
      time: this.time,
      trace: this.trace,
      random: this.randomFor('network'),
      lifeOf: (process: string) => this.#processes.get(process)?.life,
      lives: () => this.#lives(),
      machineOf: (process: string) => this.#processes.get(process)?.machine.name,
      isOn: (process: string) => this.#processes.get(process)?.machine.on ?? true,
    }
    this.network = new FaultyNetwork(host, options.link ?? { delayMs: [0.2, 2] })
  }

  #landed(record: Omit<Landed, 'atMs'>): void {
    const { topic, partition, position, value } = record
    this.trace.note('log', `${topic}/${partition} ${position}`, () => {
      return `${topic}/${partition} ${position}: ${value.byteLength} bytes landed`
    })
    this.trace.hash(value)
    const landed: Landed = { ...record, atMs: this.time.nowMs }
    for (const listener of this.#listeners) listener(landed)
  }

  *#lives(): Iterable<Life> {
    for (const { life } of this.#processes.values()) if (life !== undefined) yield life
  }

  /** A sequence of its own for a part with that name. */
  randomFor(part: string): SeededRandomness {
    return seededRandomness(seedFor(this.seed, part))
  }

  /** Counts a trouble of a disk. */
  troubled(what: string): void {
    this.diskTroubles[what] = (this.diskTroubles[what] ?? 0) + 1
  }

  register(process: WorldProcess): void {
    if (this.#processes.has(process.name)) {
      throw new Error(`there is a process ${process.name} already`)
    }
    this.#processes.set(process.name, process)
  }

  onLanded(listener: (record: Landed) => void): void {
    this.#listeners.push(listener)
  }

  machine(name: string): SimMachine {
    let machine = this.#machines.get(name)
    if (machine === undefined) {
      machine = new SimMachine(this, name, this.#wallMs)
      this.#machines.set(name, machine)
    }
    return machine
  }

  process(name: string): WorldProcess | undefined {
    return this.#processes.get(name)
  }
}
