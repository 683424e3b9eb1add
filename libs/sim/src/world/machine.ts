import type { MemoryDisk } from '@serverless-ai/kernel/testing'
import { MachineClock } from './clock.ts'
import { MachineDisk } from './disk.ts'
import { WorldProcess } from './process.ts'
import type { ClockFaults, DiskFaults, Machine, ProcessContext, Running } from './types.ts'
import type { SimWorld } from './world.ts'

/** A machine of the simulated world. */
export class SimMachine implements Machine {
  readonly name: string
  readonly clock: MachineClock
  readonly files: MachineDisk
  readonly #world: SimWorld
  readonly #processes: WorldProcess[] = []
  #on = true

  constructor(world: SimWorld, name: string, wallMs: number) {
    this.#world = world
    this.name = name
    this.clock = new MachineClock(world.time, wallMs)
    this.files = new MachineDisk(world.time, world.randomFor(`disk ${name}`), (what) => {
      world.troubled(`own ${what}`)
    })
  }

  get on(): boolean {
    return this.#on
  }

  get disk(): MemoryDisk {
    return this.files.contents
  }

  get processes(): readonly string[] {
    return this.#processes.map(({ name }) => name)
  }

  setClock(clock: ClockFaults): void {
    this.#world.trace.note(this.name, `clock ${clock.skewMs} ${clock.rate}`, () => {
      return `clock: skew ${clock.skewMs} ms, rate ${clock.rate}`
    })
    this.clock.set(clock)
  }

  setDiskFaults(faults: DiskFaults | undefined): void {
    this.files.faults = faults
  }

  powerOff(tornShare = 0): void {
    if (!this.#on) return
    this.#on = false
    this.#world.trace.note(this.name, 'power off', () => 'power off')
    for (const process of this.#processes) process.losePower(tornShare)
    this.files.losePower(tornShare)
    this.clock.reboot()
  }

  turnOn(): void {
    if (this.#on) return
    this.#on = true
    this.clock.reboot()
    this.#world.trace.note(this.name, 'power on', () => 'power on')
  }

  process(name: string, main: (context: ProcessContext) => Running): WorldProcess {
    const process = new WorldProcess(this.#world, this, { name, main })
    this.#world.register(process)
    this.#processes.push(process)
    return process
  }
}
