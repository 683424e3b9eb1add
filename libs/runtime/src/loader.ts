/** Brings a partition back: newest usable snapshot, then the tail; or the whole log. */
import {
  decodeRecord,
  type EventLog,
  type LogAddress,
  LogOutOfRangeError,
  type LogRecord,
  type SnapshotInfo,
  type SnapshotStore,
  type VoidJson,
} from '@serverless-ai/eventlog'
import type { Json, Logger, Message, Timers } from '@serverless-ai/kernel'
import { errorText } from './errors.ts'
import { type Applied, FoldError, Partition, type SnapshotContent } from './partition.ts'
import type { ServiceDefinition } from './types.ts'

/** Bytes that one read of the log asks for while folding. */
export const FETCH_MAX_BYTES = 8 * 1024 * 1024

/** The log and the snapshots do not fit together: nothing may be started on top of it. */
export class HistoryLostError extends Error {
  override readonly name = 'HistoryLostError'
}

/** No snapshot and no start of the log lies below what is asked for. */
export class PastNotKeptError extends HistoryLostError {}

/** What a fold needs: no running partition. */
export interface FoldContext<S, C extends Message, E extends Message> {
  readonly definition: ServiceDefinition<S, C, E>
  readonly environment: {
    readonly eventLog: Pick<EventLog, 'fetch' | 'range'>
    readonly snapshots: Pick<SnapshotStore, 'list' | 'get'>
  }
  readonly ports: { readonly timers: Timers }
  readonly logger: Logger
}

/** How to load. */
export interface LoadOptions {
  /** Names of snapshots that turned out to be unusable. */
  readonly exclude?: ReadonlySet<string>
  /** Voids of the administrator known from further ahead in the log. */
  readonly voids?: readonly VoidJson[]
  /** Fold only what is needed to get to this position. */
  readonly notAbove?: number
}

/** How to fold up to a position. */
export interface FoldOptions extends LoadOptions {
  readonly position: number
  readonly signal?: AbortSignal
  /** Told of each record; from the start of it again when the fold begins anew. */
  readonly applied?: (record: LogRecord, applied: Applied<Message>) => void
}

/** True when the snapshot lacks a void of a record that is folded into it. */
function misses(content: SnapshotContent, voids: readonly VoidJson[]): boolean {
  return voids.some(
    ({ position, recordHash }) =>
      position <= content.position &&
      !content.voids.some((one) => one.position === position && one.recordHash === recordHash),
  )
}

/**
 * How this version reads the state of a snapshot of `schemaVersion`; undefined = it cannot.
 */
export function stateReader<S, C extends Message, E extends Message>(
  definition: ServiceDefinition<S, C, E>,
  schemaVersion: number,
): ((state: Json) => Json) | undefined {
  if (schemaVersion === definition.schemaVersion) return (state) => state
  if (schemaVersion > definition.schemaVersion || definition.upcastState === undefined) {
    return undefined
  }
  return (state) => definition.upcastState?.(schemaVersion, state) ?? state
}

/** Content of a snapshot; undefined = it is of no use; `failed` = it may be, at another time. */
async function readSnapshot<S, C extends Message, E extends Message>(
  context: FoldContext<S, C, E>,
  address: LogAddress,
  info: SnapshotInfo,
): Promise<{ content?: SnapshotContent; failed?: unknown }> {
  const say = (error: unknown): void => {
    const fields = { name: info.name, error: errorText(error) }
    context.logger.log('warn', 'a snapshot cannot be read', fields)
  }
  let bytes: Uint8Array | undefined
  try {
    bytes = await context.environment.snapshots.get(address, info.name)
  } catch (failed) {
    say(failed)
    return { failed }
  }
  if (bytes === undefined) return {}
  try {
    const content: SnapshotContent = JSON.parse(new TextDecoder().decode(bytes))
    const own = content.format === 1 && content.service === context.definition.name
    return own ? { content } : {}
  } catch (error) {
    say(error)
    return {}
  }
}

/** A copy of the log that was cut off from the others tells an old end for a while. */
const END_ASKED = 6
const END_PAUSE_MS = 1_000

/** Throws when the log ends before its newest snapshot: records are missing. */
async function checkEnd<S, C extends Message, E extends Message>(
  { environment, ports }: FoldContext<S, C, E>,
  address: LogAddress,
  newest: SnapshotInfo | undefined,
): Promise<void> {
  if (newest === undefined) return
  let end = 0
  for (let asked = 0; asked < END_ASKED; asked += 1) {
    if (asked > 1) await ports.timers.sleep(END_PAUSE_MS)
    // The log may have grown while the snapshots were listed.
    const range = await environment.eventLog.range(address)
    if (newest.position < range.end) return
    end = range.end
  }
  throw new HistoryLostError(
    `the log ${address.topic} ends at ${end}, before the snapshot '${newest.name}': ` +
      'records are missing. Restore the log from a backup, or move the snapshots away with it',
  )
}

/**
 * A partition from the newest usable snapshot, or an empty one at the start of the log. Throws
 * {@link HistoryLostError} when the log ends before a snapshot or begins after what is needed:
 * never a silent fresh start. Rejects as the store does when a snapshot is needed and cannot be
 * read at the moment: that may be tried again.
 */
export async function loadPartition<S, C extends Message, E extends Message>(
  context: FoldContext<S, C, E>,
  address: LogAddress,
  options: LoadOptions = {},
): Promise<{ state: Partition<S, C, E>; snapshot: string }> {
  const { environment, definition, logger } = context
  const voids = options.voids ?? []
  const range = await environment.eventLog.range(address)
  const infos = await environment.snapshots.list(address)
  if ((infos[0]?.position ?? -1) >= range.end) await checkEnd(context, address, infos[0])
  let failed: unknown
  for (const info of infos) {
    const read = stateReader(definition, info.schemaVersion)
    if (read === undefined) continue
    if (options.exclude?.has(info.name) === true || info.position + 1 < range.start) continue
    if (options.notAbove !== undefined && info.position > options.notAbove) continue
    const outcome = await readSnapshot(context, address, info)
    failed ??= outcome.failed
    const { content } = outcome
    if (content === undefined || misses(content, voids)) continue
    try {
      const core = read(content.core)
      const state = Partition.fromSnapshot(definition, { ...content, core }, voids)
      return { state, snapshot: info.name }
    } catch (error) {
      const fields = { name: info.name, error: errorText(error) }
      logger.log('warn', 'a snapshot cannot be loaded', fields)
    }
  }
  if (range.start > 0) {
    if (failed !== undefined) throw failed
    throw new PastNotKeptError(
      `the log ${address.topic} starts at ${range.start} and no usable snapshot covers ` +
        'what is before: restore the snapshots from a backup, or start the version that wrote them',
    )
  }
  return { state: new Partition(definition, address.partition, voids), snapshot: '' }
}

/**
 * Folds up to and including `position`, from the nearest snapshot. Throws LogOutOfRangeError when
 * that is not in the log, {@link PastNotKeptError} when it cannot be folded any more.
 */
export async function foldUpTo<S, C extends Message, E extends Message>(
  context: FoldContext<S, C, E>,
  address: LogAddress,
  options: FoldOptions,
): Promise<Partition<S, C, E>> {
  return (await foldFrom(context, address, options)).state
}

/** As {@link foldUpTo}, with the name of the snapshot it began with; empty = the log start. */
export async function foldFrom<S, C extends Message, E extends Message>(
  context: FoldContext<S, C, E>,
  address: LogAddress,
  options: FoldOptions,
): Promise<{ state: Partition<S, C, E>; snapshot: string }> {
  const { position } = options
  const { eventLog } = context.environment
  const range = await eventLog.range(address)
  if (position < 0 || position >= range.end) {
    throw new LogOutOfRangeError({ from: position, ...range })
  }
  const loaded = await loadPartition(context, address, { ...options, notAbove: position })
  const { state } = loaded
  while (state.position < position) {
    const signal = options.signal === undefined ? {} : { signal: options.signal }
    const from = state.position + 1
    const want = { from, maxBytes: FETCH_MAX_BYTES, waitMs: 0, ...signal }
    const { records } = await eventLog.fetch(address, want)
    for (const record of records) {
      if (record.position > position) return loaded
      const applied = await applyOrSeek(context, address, { record, state })
      // What was folded already is void: again, with the void known from the start.
      if (applied === undefined) {
        return foldFrom(context, address, { ...options, voids: state.voids.toJson() })
      }
      options.applied?.(record, applied)
      if (applied.kind === 'damaged') throw new HistoryLostError(applied.reason)
      if (applied.kind === 'voided' && applied.isNew && applied.position < record.position) {
        return foldFrom(context, address, { ...options, voids: state.voids.toJson() })
      }
    }
    if (records.length === 0) throw new LogOutOfRangeError({ from: position, ...range })
    await context.ports.timers.yieldTurn()
  }
  return loaded
}

/** Applies a record; undefined = it cannot be folded, and a void of it lies ahead: fold again. */
async function applyOrSeek<S, C extends Message, E extends Message>(
  context: FoldContext<S, C, E>,
  address: LogAddress,
  { record, state }: { record: LogRecord; state: Partition<S, C, E> },
): Promise<Applied<E> | undefined> {
  try {
    return state.apply(record)
  } catch (error) {
    if (error instanceof FoldError && (await seekVoid(context, address, { error, state }))) {
      return undefined
    }
    throw error
  }
}

/**
 * Looks further ahead in the log for an administrator's void of a record that cannot be folded.
 * True when there is one that the state did not know: now it does, and has to be folded again.
 */
export async function seekVoid<S, C extends Message, E extends Message>(
  { environment, ports, logger }: Pick<FoldContext<S, C, E>, 'environment' | 'ports' | 'logger'>,
  address: LogAddress,
  { error, state }: { error: FoldError; state: Partition<S, C, E> },
): Promise<boolean> {
  const { eventLog } = environment
  const { end } = await eventLog.range(address)
  for (let from = error.position + 1; from < end; ) {
    const { records } = await eventLog.fetch(address, {
      from,
      maxBytes: FETCH_MAX_BYTES,
      waitMs: 0,
    })
    if (records.length === 0) break
    for (const { position, value } of records) {
      from = position + 1
      const { body } = decodeRecord(value)
      if (body?.$case !== 'void' || Number(body.value.position) !== error.position) continue
      if (!state.voids.add(body.value)) continue
      const fields = { position: error.position, voidPosition: position }
      logger.log('warn', 'a record that cannot be folded is void', fields)
      return true
    }
    await ports.timers.yieldTurn()
  }
  return false
}
