import type { Logger, Message, Ports } from '@serverless-ai/kernel'
import type { LogClock } from './log-clock.ts'
import type { Traces } from './traces.ts'
import type { RuntimeEnvironment, ServiceDefinition } from './types.ts'

/** Longest wait of an idle read of a log, ms. */
export const IDLE_FETCH_MS = 30_000

/** Settings of a runtime. */
export interface RuntimeOptions {
  /**
   * A snapshot after so many commits with content, or after the first one in a fourteenth of
   * `retentionMs`. Default 10,000.
   */
  readonly snapshotEveryCommits?: number
  /**
   * How long the past is kept, ms of log time; 0 (default) = for ever. Older records of the log and
   * of the public events are removed, up to a verified snapshot; never what the second newest one
   * or the publisher needs. Throws RangeError below 0.
   */
  readonly retentionMs?: number
  /**
   * Feature level that a log begins with when this version is the first to write into it. Default,
   * and at most: the highest that this version knows.
   */
  readonly newLogLevel?: number
}

/** Options with their defaults. */
export type RuntimeSettings = Required<RuntimeOptions>

/** Fills in the defaults. */
export function settingsOf(options: RuntimeOptions): RuntimeSettings {
  const retentionMs = options.retentionMs ?? 0
  if (!Number.isFinite(retentionMs) || retentionMs < 0) {
    throw new RangeError(`not a retention: ${retentionMs} ms`)
  }
  const newLogLevel = Number.POSITIVE_INFINITY
  return { snapshotEveryCommits: 10_000, newLogLevel, ...options, retentionMs }
}

/** What all parts of a runtime share. */
export interface RuntimeContext<S, C extends Message, E extends Message> {
  readonly definition: ServiceDefinition<S, C, E>
  readonly environment: RuntimeEnvironment
  readonly ports: Ports
  readonly logger: Logger
  readonly options: RuntimeSettings
  readonly logClock: LogClock
  /** Absent = nothing is traced. */
  readonly traces?: Traces | undefined
  /** Highest feature level that this version of the service knows. */
  readonly level: number
}
