/**
 * The simulated world: machines with clocks and disks, processes that crash and pause, a network
 * between them, one event log that all of them share. Everything moves on one virtual time, and all
 * chance comes from one seed.
 */
import type { EventLog, MemoryLogFaults, MemoryLogStore } from '@serverless-ai/eventlog'
import type { Disk, Ports, Timer, Timers, Transport, TransportServer } from '@serverless-ai/kernel'
import type { MemoryDisk, SeededRandomness } from '@serverless-ai/kernel/testing'
import type { RpcServerOptions } from '@serverless-ai/rpc'

/** Virtual time of the whole world. Machines see it through their own clocks. */
export interface SimTime extends Timers {
  /** Virtual ms since the start. */
  readonly nowMs: number
  /** Timers that have rung so far: the number of the present event. */
  readonly events: number
  /** Timers that are set. */
  readonly pending: number
  /** Calls `fn` at a virtual moment, ms; at once (as the next event) when it has passed. */
  at(atMs: number, fn: () => void): Timer
  /**
   * Lets time pass until `untilMs`, or until `stop` answers true (asked between events). Between
   * two events all pending microtasks have run.
   */
  runUntil(untilMs: number, stop?: () => boolean): Promise<void>
}

/** What the trace says of one happening. */
export interface TraceEntry {
  /** Virtual ms. */
  readonly atMs: number
  /** Number of the event of virtual time it belongs to. */
  readonly event: number
  /** Who: `scheduler-2`, `node-7`, `user`, `faults`. */
  readonly who: string
  /** One line for people. Made only when somebody reads it. */
  readonly text: string
}

/** The hash over everything that happened, and the last happenings for people. */
export interface Trace {
  /**
   * Notes a happening. `facts` (short, stable) go into the hash always; `text` is called only where
   * the readable trace is on or the ring of last entries wants it.
   */
  note(who: string, facts: string, text: () => string): void
  /** Bytes into the hash alone. */
  hash(bytes: Uint8Array): void
  /** SHA-256 of all that was noted, hex. */
  digest(): string
  /** The last entries (up to 400), oldest first. */
  last(): readonly TraceEntry[]
}

/**
 * Clock of a machine against virtual time. A new rate holds from now on; timers that are set keep
 * theirs. Rates within ±4 % are what the protocol assumes.
 */
export interface ClockFaults {
  /** Wall clock minus virtual time, ms. May be changed at any moment: a jump. */
  skewMs: number
  /** Virtual ms → monotonic and boot ms of this machine; 1 = exact. */
  rate: number
}

/** Faults of a disk. Shares are probabilities per operation, 0 to 1. */
export interface DiskFaults {
  /** Every operation takes this long, ms. Default: no time. */
  readonly delayMs?: readonly [number, number]
  /** An operation fails with EIO, and has not taken effect. */
  readonly failShare?: number
  /** Every write fails with ENOSPC; half of what is appended may be in the file. */
  readonly full?: boolean
  /**
   * At a power loss a file with bytes that were not synced keeps some of them (else none), and the
   * snapshot chunk that was written last is cut or has a damaged sector; never two snapshots of one
   * log at a time.
   */
  readonly tornShare?: number
}

/** What an operation of a disk, or a file, met. */
export type DiskTrouble = 'slow' | 'failed' | 'full' | 'torn' | 'damaged'

/** A machine: one clock, one disk, several processes. */
export interface Machine {
  readonly name: string
  readonly clock: Readonly<ClockFaults>
  /** A jump of the wall clock, another rate from now on (monotonic time stays continuous). */
  setClock(clock: ClockFaults): void
  /** The disk itself, to look at and to damage. Processes see it through their ports. */
  readonly disk: MemoryDisk
  /** Names of its processes. */
  readonly processes: readonly string[]
  setDiskFaults(faults: DiskFaults | undefined): void
  /**
   * Power loss: all its processes die without a word to their peers, what was not synced is gone or
   * torn, the boot clock starts again. The next start of a process turns it on. `tornShare`: chance
   * that something is torn on its disk, and what its processes wrote last into the store that all
   * share; default: those of the faults that are on.
   */
  powerOff(tornShare?: number): void
  /** Makes a process, stopped. Names are unique in the world. */
  process(name: string, main: (context: ProcessContext) => Running): SimProcess
}

/** What a program does with its process. */
export interface Running {
  /** Graceful end (SIGTERM). */
  stop(): Promise<void>
}

/** What a program is given at each start. Dead after a crash: nothing it awaits resolves again. */
export interface ProcessContext {
  readonly name: string
  /** 1 for the first start. */
  readonly incarnation: number
  readonly ports: Ports
  /** The shared log, through this process' eyes. */
  readonly eventLog: EventLog
  /** A store that all processes share, as an object store would be; through this process' eyes. */
  readonly sharedDisk: Disk
  /** Called when this incarnation is over, whatever ended it. */
  onDeath(listener: () => void): void
  readonly transport: Transport
  /**
   * A server on this process' own addresses: the host of what it listens on is the process' name,
   * whatever is asked for.
   */
  server(options: ServerOptions): TransportServer
}

/** The process' own clock, timers and logger are used, whatever else is given. */
export type ServerOptions = Omit<RpcServerOptions, 'clock' | 'timers' | 'logger'>

/** A process that can be killed, paused and started again. */
export interface SimProcess {
  readonly name: string
  readonly machine: Machine
  readonly state: 'stopped' | 'running' | 'paused'
  readonly incarnation: number
  /** Starts it, with its machine if that is off. Nothing if it runs already. */
  start(): void
  /** SIGKILL: nothing it waits for ever comes back; what it sent is on its way. */
  kill(): void
  /** SIGSTOP and SIGCONT: timers, answers and messages wait; time goes on outside. */
  pause(): void
  resume(): void
  /** SIGTERM; resolves when `stop` of the program has, or it died on the way. */
  stop(): Promise<void>
  /**
   * Dies at its `operations`-th operation of a port from now (log, disk, network, timer), before it
   * takes effect or right after it did and before the answer.
   */
  crashAfter(operations: number, moment: 'before' | 'after'): void
  /** Faults of its access to the log, now and after restarts; undefined = those of the world. */
  setLogFaults(faults: MemoryLogFaults | undefined): void
  /** Faults of the store that all share, for this process; now and after restarts. */
  setSharedDiskFaults(faults: DiskFaults | undefined): void
  /** From now on it reads the logs of services as bytes that are no records. */
  damageLog(): void
  /** It has been told to. */
  readonly logDamaged: boolean
  /** Called at each change of `state`. */
  onState(listener: (state: SimProcess['state']) => void): void
  /** Appends of this process are refused with DISK_FULL, also after restarts. */
  setLogFull(full: boolean): void
}

/** Faults of the network between two processes. */
export interface LinkFaults {
  /** One way, per message, ms. Messages of one stream keep their order, calls do not. */
  readonly delayMs: readonly [number, number]
  /** A unary call's request or answer is lost: the caller sees UNAVAILABLE or its deadline. */
  readonly lostShare?: number
  /** A unary request arrives twice. */
  readonly duplicateShare?: number
  /** A stream is reset, per message. */
  readonly resetShare?: number
}

/**
 * The network. Addresses are `<process>:7070`. Names are those of processes or of machines; `log`
 * is the event log, `*` everything but it.
 */
export interface SimNetwork {
  /** Between all that have no own setting. */
  setDefault(faults: LinkFaults): void
  /** Between two, in both directions; undefined = the default again. */
  setBetween(one: string, other: string, faults: LinkFaults | undefined): void
  /**
   * Nothing passes between the two (either direction) until `heal`. Unary calls end by their
   * deadlines; streams break after 10 s, as gRPC's keepalive breaks them; what was sent in the last
   * 10 s arrives after `heal`.
   */
  partition(one: string, other: string): void
  heal(one: string, other: string): void
  healAll(): void
  /** True unless the two are partitioned from each other now. */
  connected(one: string, other: string): boolean
  /** Breaks all streams and calls that a process has open at this moment. */
  reset(process: string): void
}

/** A record that landed in the log. */
export interface Landed {
  readonly atMs: number
  readonly topic: string
  readonly partition: number
  readonly position: number
  readonly key: string
  readonly headers: Readonly<Record<string, string>>
  readonly value: Uint8Array
}

/** One world. */
export interface World {
  readonly seed: number
  readonly time: SimTime
  /** Fork it per part, in a fixed order, so that one part's draws do not shift another's. */
  readonly random: SeededRandomness
  readonly trace: Trace
  readonly network: SimNetwork
  readonly store: MemoryLogStore
  /** How often disks were in trouble: `own slow`, `shared failed`, …; absent = never. */
  readonly diskTroubles: Readonly<Record<string, number>>
  onLanded(listener: (record: Landed) => void): void
  /** The machine of that name, made at the first call. */
  machine(name: string): Machine
  /** A process by name. */
  process(name: string): SimProcess | undefined
}

/** How to make a world. */
export interface WorldOptions {
  /** 32 bits. */
  readonly seed: number
  /** Delays and faults between processes. Default: 0.2 to 2 ms, no faults. */
  readonly link?: LinkFaults
  /** Delays and faults of the log. Default: an append takes 1 to 4 ms, a read 0.1 to 1 ms. */
  readonly log?: MemoryLogFaults
  /** Wall clock at the start, ms since 1970. Default 1,700,000,000,000. */
  readonly wallMs?: number
  /** Every happening, as it happens: the readable trace. */
  readonly onEntry?: (entry: TraceEntry) => void
}
