import type { Logger, LogLevel } from '@serverless-ai/kernel'
import { type DestinationStream, type Logger as Pino, pino } from 'pino'
import { activeIds } from './tracing/active.ts'

/** Options of {@link createLogger}. */
export interface LoggerOptions {
  /** Name of the service, in every line as `service`. */
  readonly service: string
  /** Name of the replica, in every line as `replica`. Absent = in none. */
  readonly replica?: string
  /** Lines below it are dropped. */
  readonly level: LogLevel | 'silent'
  /** Where lines go; standard error by default, so that standard output stays for answers. */
  readonly destination?: DestinationStream
}

// Never in a log line, at whatever depth people usually put them.
const SECRET_FIELDS = ['token', 'authorization', 'password', 'secret', '*.token', '*.authorization']

class PinoLogger implements Logger {
  readonly #pino: Pino
  readonly #fields: Readonly<Record<string, unknown>>
  constructor(target: Pino, fields: Readonly<Record<string, unknown>>) {
    this.#pino = target
    this.#fields = fields
  }

  log(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#pino[level]({ ...this.#fields, ...activeIds(), ...fields }, message)
  }

  // Merged here, not by pino: its children repeat a key that parent and child both have.
  child(fields: Readonly<Record<string, unknown>>): Logger {
    return new PinoLogger(this.#pino, { ...this.#fields, ...fields })
  }
}

/**
 * A structured logger: one JSON object per line with `level`, `time` (RFC 3339), `service`, `msg`
 * and the given fields; inside of a trace with `traceId` and `spanId`, too. An `Error` under `err`
 * or `error` is written with message and stack.
 * Lines are written at once, so none is lost when the process dies.
 */
export function createLogger(options: LoggerOptions): Logger {
  const destination = options.destination ?? pino.destination({ fd: 2, sync: true })
  const target = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: pino.stdSerializers.err, error: pino.stdSerializers.err },
      redact: { paths: SECRET_FIELDS, censor: '***' },
    },
    destination,
  )
  const { service, replica } = options
  return new PinoLogger(target, replica === undefined ? { service } : { service, replica })
}
