import type { Logger, Message, Ports } from '@serverless-ai/kernel'
import type { LogClock } from './log-clock.ts'
import type { RuntimeEnvironment, ServiceDefinition } from './types.ts'

/** Settings of a runtime. */
export interface RuntimeOptions {
  /** False = follow only, never claim. Default true. */
  readonly lead?: boolean
  /** Callers' commands that may wait. Default 10,000. */
  readonly mailboxMax?: number
  /** A snapshot after so many commits with content. Default 10,000. */
  readonly snapshotEveryCommits?: number
  /**
   * `keep` (default) never trims the log; `snapshots` keeps what the second newest verified
   * snapshot and the publisher need.
   */
  readonly trim?: 'keep' | 'snapshots'
  /** Longest wait of an idle read of the log, ms. Default 30,000. */
  readonly idleFetchMs?: number
  /** Longest graceful stop, ms; after it the partition is closed as it is. Default 3,000. */
  readonly stopTimeoutMs?: number
}

/** Options with their defaults. */
export type RuntimeSettings = Required<RuntimeOptions>

/** Fills in the defaults. */
export function settingsOf(options: RuntimeOptions): RuntimeSettings {
  return {
    lead: true,
    mailboxMax: 10_000,
    snapshotEveryCommits: 10_000,
    trim: 'keep',
    idleFetchMs: 30_000,
    stopTimeoutMs: 3_000,
    ...options,
  }
}

/** What all parts of a runtime share. */
export interface RuntimeContext<S, C extends Message, E extends Message> {
  readonly definition: ServiceDefinition<S, C, E>
  readonly environment: RuntimeEnvironment
  readonly ports: Ports
  readonly logger: Logger
  readonly options: RuntimeSettings
  readonly logClock: LogClock
}
