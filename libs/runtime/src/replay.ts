/** Folds a log that no process runs on: replay, golden logs, questions about another past. */
import { type EventLog, logTopic, type SnapshotStore } from '@serverless-ai/eventlog'
import type { Logger, Message, Timers } from '@serverless-ai/kernel'
import { foldFrom, loadPartition } from './loader.ts'
import type { PositionToken, ServiceDefinition } from './types.ts'

/** A log to fold, and how far. */
export interface FoldSource {
  readonly eventLog: Pick<EventLog, 'fetch' | 'range'>
  /** Where a fold may begin. Default: at the start of the log. */
  readonly snapshots?: Pick<SnapshotStore, 'list' | 'get'>
  /** Default 0. */
  readonly partition?: number
  /** Last position to fold. Default: the end of the log. */
  readonly through?: number
}

/** What a log came to. */
export interface FoldedLog<S> {
  /** State of the core; nobody else holds it. */
  readonly state: S
  /** Last record that was read, effective or not; -1 = the log is empty. */
  readonly position: number
  /** Last effective record, as a position that clients know. */
  readonly token: PositionToken
  /** Log time of the last commit, ms since 1970; 0 = none. */
  readonly atMs: number
  readonly epoch: number
  readonly publicSeq: number
  /** Snapshot the fold began with; empty = the start of the log. */
  readonly snapshot: string
  /** Where the state was found to differ from a digest in the log; empty = nowhere. */
  readonly diverged: string
  /** SHA-256 of the whole state (what the runtime keeps included), hex. */
  readonly digest: string
}

const NO_SNAPSHOTS: Pick<SnapshotStore, 'list' | 'get'> = {
  list: async () => [],
  get: async () => undefined,
}

/**
 * Folds a service's log through the same arbitration, the same core and the same checks as a
 * running partition, and nothing else: no claim, no commit, no effect.
 *
 * Throws LogOutOfRangeError when `through` is not in the log, HistoryLostError when the log and its
 * snapshots do not fit together, FoldError when an effective record cannot be folded.
 */
export async function foldLog<S, C extends Message, E extends Message>(
  definition: ServiceDefinition<S, C, E>,
  source: FoldSource,
  ports: { readonly timers: Timers; readonly logger: Logger },
): Promise<FoldedLog<S>> {
  const { eventLog, snapshots = NO_SNAPSHOTS, partition = 0 } = source
  const context = { definition, environment: { eventLog, snapshots }, ports, logger: ports.logger }
  const address = { topic: logTopic(definition.name), partition }
  const through = source.through ?? (await eventLog.range(address)).end - 1
  const { state, snapshot } =
    source.through === undefined && through < 0
      ? await loadPartition(context, address)
      : await foldFrom(context, address, { position: through })
  return {
    state: state.core,
    position: state.position,
    token: state.token,
    atMs: state.framework.lastAtMs,
    epoch: state.arbitration.epoch,
    publicSeq: state.framework.publicSeq,
    snapshot,
    diverged: state.diverged,
    digest: state.digest(),
  }
}
