/**
 * Ports: everything a program can wait for or be surprised by. Production binds them to the
 * operating system (`@serverless-ai/kernel/system`), the simulator to virtual time and seeded
 * faults. No package awaits anything else.
 */
import type { Tracer } from './tracing.ts'

/** Reads of time. All values are milliseconds; fractions are allowed. */
export interface Clock {
  /** Wall clock, ms since 1970. May jump. */
  wallMs(): number
  /** Monotonic clock of this process, ms since an arbitrary start. Never goes back. */
  monotonicMs(): number
  /**
   * Boot clock of the machine (counts suspends where the platform offers it), ms. The same for all
   * processes of one machine.
   */
  bootMs(): number
}

/** A running timer. */
export interface Timer {
  /** Stops it; harmless afterwards. */
  cancel(): void
}

/** Waiting for time to pass. */
export interface Timers {
  /** Resolves after `ms` (monotonic); rejects with the signal's reason when it is aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls `fn` once after `ms`. */
  after(ms: number, fn: () => void): Timer
  /** Lets other work run: resolves in a later turn of the event loop. */
  yieldTurn(): Promise<void>
}

/** Randomness. */
export interface Randomness {
  /** `length` random bytes. */
  bytes(length: number): Uint8Array
  /** Uniform in [0, 1). */
  float(): number
}

/** What a directory entry is. */
export interface DiskEntry {
  readonly name: string
  readonly kind: 'file' | 'directory' | 'other'
  /** Size in bytes, 0 for directories. */
  readonly bytes: number
}

/** A failed disk operation, with the operating system's code (`ENOSPC`, `EACCES`, `ENOENT`, …). */
export class DiskError extends Error {
  override readonly name = 'DiskError'
  readonly code: string
  readonly path: string
  constructor(code: string, path: string, message: string) {
    super(message)
    this.code = code
    this.path = path
  }
}

/** Files. Every failure is a {@link DiskError}. Paths are absolute. */
export interface Disk {
  read(path: string): Promise<Uint8Array>
  /**
   * Temporary file, fsync, rename, fsync of the directory: after it resolves the content survives a
   * power loss, before it the old one does.
   */
  writeAtomic(path: string, bytes: Uint8Array): Promise<void>
  /** Appends in one write call; with `sync` it is durable when it resolves. */
  append(path: string, bytes: Uint8Array, options?: { sync?: boolean }): Promise<void>
  list(path: string): Promise<readonly DiskEntry[]>
  exists(path: string): Promise<boolean>
  makeDirectory(path: string): Promise<void>
  /** Recursive; a missing path is no error. */
  remove(path: string): Promise<void>
}

/** Levels of a log line. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Structured log lines of the process itself (not the event log). */
export interface Logger {
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void
  child(fields: Readonly<Record<string, unknown>>): Logger
}

/** The ports almost everything needs. */
export interface Ports {
  readonly clock: Clock
  readonly timers: Timers
  readonly randomness: Randomness
  readonly disk: Disk
  readonly logger: Logger
  /** Absent = nothing is traced. */
  readonly tracer?: Tracer | undefined
}
