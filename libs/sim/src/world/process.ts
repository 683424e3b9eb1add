import type { EventLog, FetchResult } from '@serverless-ai/eventlog'
import { type MemoryLogFaults, openMemoryLog } from '@serverless-ai/eventlog'
import type { Logger, LogLevel, Ports, TransportServer } from '@serverless-ai/kernel'
import type { SeededRandomness } from '@serverless-ai/kernel/testing'
import { clockPort, Life } from './life.ts'
import type { SimMachine } from './machine.ts'
import type { DiskFaults, ProcessContext, Running, ServerOptions, SimProcess } from './types.ts'
import type { SimWorld } from './world.ts'

/** Topics of private logs begin with it. */
const LOGS = 'serverlessai.log.'
const NO_RECORD = Uint8Array.of(0xff)

const ignore = (): void => undefined

/** A process of the simulated world. */
export class WorldProcess implements SimProcess {
  readonly name: string
  readonly machine: SimMachine
  incarnation = 0
  readonly #world: SimWorld
  readonly #main: (context: ProcessContext) => Running
  readonly #random: SeededRandomness
  readonly #listeners: ((state: SimProcess['state']) => void)[] = []
  #logFaults: MemoryLogFaults | undefined
  #logFull = false
  logDamaged = false
  #sharedDiskFaults: DiskFaults | undefined
  #life: Life | undefined
  #running: Running | undefined

  constructor(
    world: SimWorld,
    machine: SimMachine,
    program: { name: string; main: (context: ProcessContext) => Running },
  ) {
    this.#world = world
    this.machine = machine
    this.name = program.name
    this.#main = program.main
    // One sequence for all lives: no two of them draw the same.
    this.#random = world.randomFor(`process ${program.name}`)
  }

  /** The present life; undefined while it does not run. */
  get life(): Life | undefined {
    return this.#life
  }

  get state(): SimProcess['state'] {
    if (this.#life === undefined) return 'stopped'
    return this.#life.gate.state === 'shut' ? 'paused' : 'running'
  }

  onState(listener: (state: SimProcess['state']) => void): void {
    this.#listeners.push(listener)
  }

  #changed(what: string): void {
    // Not read when the text is made: it has been started again by then, perhaps.
    const { incarnation } = this
    this.#world.trace.note(this.name, `${what} ${incarnation}`, () => {
      return `${what} (start ${incarnation})`
    })
    for (const listener of this.#listeners) listener(this.state)
  }

  start(): void {
    if (this.#life !== undefined) return
    this.machine.turnOn()
    this.incarnation += 1
    const life = new Life({
      process: this.name,
      machine: this.machine.name,
      time: this.#world.time,
      clock: this.machine.clock,
      die: () => this.#end(life, 'crashed'),
    })
    this.#life = life
    const context = this.#context(life)
    this.#world.network.reachLog(life)
    this.#changed('started')
    // As an event of its own, so that the program does not begin inside of whatever started it.
    this.#world.time.after(0, () => {
      life.gate.pass(() => {
        const running = this.#main(context)
        // It may have died on the way.
        if (this.#life === life) this.#running = running
      })
    })
  }

  #context(life: Life): ProcessContext {
    const ports: Ports = {
      clock: clockPort(this.machine.clock),
      timers: life.timers,
      randomness: this.#random,
      disk: this.machine.files.portFor(life),
      logger: this.#logger(life, {}),
    }
    return {
      name: this.name,
      incarnation: this.incarnation,
      ports,
      eventLog: this.#openLog(life),
      sharedDisk: this.#world.sharedDisk.portFor(life, () => this.#sharedDiskFaults),
      onDeath: (listener) => life.mourners.push(listener),
      transport: this.#world.network.transport(life),
      server: (options) => this.#server(life, ports, options),
    }
  }

  #openLog(life: Life): EventLog {
    const log = openMemoryLog({
      // Its sends belong to the network: they land whatever becomes of the process.
      ports: { timers: this.#world.time, randomness: this.#random },
      store: this.#world.store,
      faults: this.#faultsNow(),
      gate: life.gate,
    })
    life.log = log
    const call = <T>(begin: () => Promise<T>): Promise<T> =>
      new Promise((resolve, reject) =>
        life.operate(() => life.answer(begin(), { resolve, reject })),
      )
    return {
      kind: log.kind,
      durability: log.durability,
      append: (address, entries) => call(() => log.append(address, entries)),
      fetch: (address, options) =>
        call(async () => this.#asRead(address.topic, await log.fetch(address, options))),
      range: (address) => call(() => log.range(address)),
      trim: (address, below) => call(() => log.trim(address, below)),
      close: () => log.close(),
    }
  }

  #asRead(topic: string, fetched: FetchResult): FetchResult {
    if (!this.logDamaged || !topic.startsWith(LOGS)) return fetched
    return { ...fetched, records: fetched.records.map((one) => ({ ...one, value: NO_RECORD })) }
  }

  #server(life: Life, ports: Ports, options: ServerOptions): TransportServer {
    const { clock, timers, logger } = ports
    const server = this.#world.network.server({
      ...options,
      clock,
      timers,
      logger,
      // Addresses of the simulated network are nobody's outside.
      insecureDev: true,
    })
    if (!life.dead) life.servers.push(server)
    return {
      add: (service, handlers) => server.add(service, handlers),
      listen: (address) => server.listen(address.replace(/^.*:/, `${this.name}:`)),
      close: (graceMs) => server.close(graceMs),
      stopping: server.stopping,
    }
  }

  #logger(life: Life, fields: Readonly<Record<string, unknown>>): Logger {
    return {
      log: (level: LogLevel, message, more = {}) => {
        if (life.dead) return
        this.#world.trace.note(this.name, `${level} ${message}`, () => {
          return `${level}: ${message}${shownFields({ ...fields, ...more })}`
        })
      },
      child: (more) => this.#logger(life, { ...fields, ...more }),
    }
  }

  kill(): void {
    if (this.#life !== undefined) this.#end(this.#life, 'killed')
  }

  /** As `kill`, with the machine: nobody is told. */
  losePower(tornShare: number): void {
    const share = Math.max(this.#sharedDiskFaults?.tornShare ?? 0, tornShare)
    this.#world.sharedDisk.writerLost(this.name, share)
    if (this.#life === undefined) return
    this.#life.silent = true
    this.#end(this.#life, 'lost power')
  }

  #end(life: Life, how: string): void {
    if (this.#life !== life) return
    this.#life = undefined
    this.#running = undefined
    life.end()
    for (const wire of life.wires) wire.died()
    life.wires.clear()
    for (const mourn of life.mourners.splice(0)) mourn()
    this.#changed(how)
  }

  pause(): void {
    const life = this.#life
    if (life === undefined || life.silent) return
    life.silent = true
    life.gate.shut()
    for (const wire of life.wires) wire.refresh()
    this.#changed('paused')
  }

  resume(): void {
    const life = this.#life
    if (life === undefined || life.gate.state !== 'shut') return
    life.silent = false
    // What came meanwhile comes now: in order, each as an event of its own.
    life.gate.open((fn) => this.#world.time.after(0, fn))
    for (const wire of life.wires) wire.refresh()
    this.#changed('resumed')
  }

  stop(): Promise<void> {
    const life = this.#life
    if (life === undefined) return Promise.resolve()
    this.#changed('stopping')
    return new Promise((resolve) => {
      life.mourners.push(resolve)
      const over = (how: string) => () => this.#end(life, how)
      life.gate.pass(() => {
        const stopped = this.#running?.stop() ?? Promise.resolve()
        stopped.then(over('stopped'), over('failed to stop')).catch(ignore)
      })
    })
  }

  crashAfter(operations: number, moment: 'before' | 'after'): void {
    if (this.#life === undefined) return
    this.#life.crash = { left: Math.max(1, operations), moment }
  }

  setLogFaults(faults: MemoryLogFaults | undefined): void {
    this.#logFaults = faults
    this.#life?.log?.setFaults(this.#faultsNow())
  }

  setLogFull(full: boolean): void {
    this.#logFull = full
    this.#life?.log?.setFaults(this.#faultsNow())
  }

  setSharedDiskFaults(faults: DiskFaults | undefined): void {
    this.#sharedDiskFaults = faults
  }

  damageLog(): void {
    this.logDamaged = true
  }

  #faultsNow(): MemoryLogFaults {
    const faults = this.#logFaults ?? this.#world.logFaults
    return this.#logFull ? { ...faults, full: true } : faults
  }
}

function shownFields(fields: Readonly<Record<string, unknown>>): string {
  const shown = (value: unknown): string => {
    if (value instanceof Error) return value.message
    return typeof value === 'object' && value !== null ? shownJson(value) : String(value)
  }
  return Object.entries(fields)
    .map(([key, value]) => ` ${key}=${shown(value)}`)
    .join('')
}

function shownJson(value: object): string {
  try {
    return JSON.stringify(value, (_, each: unknown) => {
      return typeof each === 'bigint' ? String(each) : each
    })
  } catch {
    return '[object]'
  }
}
