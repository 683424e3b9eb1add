import type { Logger, LogLevel, Ports } from '../ports.ts'
import { type MemoryDisk, memoryDisk } from './memory-disk.ts'
import { type SeededRandomness, seededRandomness } from './random.ts'
import { VirtualTime } from './virtual-time.ts'

/** A line of a {@link RecordingLogger}. */
export interface LoggedLine {
  readonly level: LogLevel
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** Keeps what is logged, for tests to look at. */
export class RecordingLogger implements Logger {
  readonly lines: LoggedLine[]
  readonly #fields: Readonly<Record<string, unknown>>

  constructor(lines: LoggedLine[] = [], fields: Readonly<Record<string, unknown>> = {}) {
    this.lines = lines
    this.#fields = fields
  }

  log(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.lines.push({ level, message, fields: { ...this.#fields, ...fields } })
  }

  child(fields: Readonly<Record<string, unknown>>): Logger {
    return new RecordingLogger(this.lines, { ...this.#fields, ...fields })
  }
}

/** All ports under a test's control. */
export interface TestPorts extends Ports {
  /** Clock and timers in one. */
  readonly time: VirtualTime
  readonly randomness: SeededRandomness
  readonly disk: MemoryDisk
  readonly logger: RecordingLogger
}

/** Virtual time, seeded chance, a disk in memory, kept log lines. */
export function testPorts(options: { seed: number; wallMs?: number }): TestPorts {
  const time = new VirtualTime(options.wallMs === undefined ? {} : { wallMs: options.wallMs })
  const randomness = seededRandomness(options.seed)
  const logger = new RecordingLogger()
  return { time, clock: time, timers: time, randomness, disk: memoryDisk(), logger }
}
