/**
 * The event-log port: an append-only, partitioned log with dense reads by position. Adapters:
 * `memory`, `sqlite` (and Kafka at scale). All of them pass one contract suite. Arbitration,
 * leading and answers are built on top of it and never inside it.
 */

/** Which log. */
export interface LogAddress {
  /** For example `serverlessai.log.scheduler.v1`. */
  readonly topic: string
  /** The cell, from 0. */
  readonly partition: number
}

/** What is appended. */
export interface LogEntry {
  /** Entity id for public events; empty for commits. */
  readonly key: string
  /** CloudEvents headers of public events; empty for commits. */
  readonly headers: Readonly<Record<string, string>>
  readonly value: Uint8Array
}

/** An entry that is in the log. */
export interface LogRecord extends LogEntry {
  /**
   * Grows with each record of the partition; adapters may leave gaps only where they say so (none
   * of today's does).
   */
  readonly position: number
}

/** A piece of the log. */
export interface FetchResult {
  /** In order, from the wanted position on; may be empty after `waitMs`. */
  readonly records: readonly LogRecord[]
  /** Lowest position kept. */
  readonly start: number
  /** Position the next record will get. */
  readonly end: number
}

/**
 * The outcome of an append is not known (time-out, connection lost): the entries may be in the log,
 * once or several times, now or later. The only right answer is to append the byte-identical
 * entries again, or to read.
 */
export class AppendOutcomeUnknownError extends Error {
  override readonly name = 'AppendOutcomeUnknownError'
}

/**
 * The append did certainly not happen (log closed, disk full, too large). `code` names what,
 * `message` says how to mend it.
 */
export class AppendRefusedError extends Error {
  override readonly name = 'AppendRefusedError'
  readonly code: 'CLOSED' | 'DISK_FULL' | 'READ_ONLY' | 'RECORD_TOO_LARGE' | 'IO'
  constructor(code: AppendRefusedError['code'], message: string) {
    super(message)
    this.code = code
  }
}

/** A read below the log start or beyond its end. Adapters never reset by themselves. */
export class LogOutOfRangeError extends Error {
  override readonly name: string = 'LogOutOfRangeError'
  readonly start: number
  readonly end: number
  constructor(init: { from: number; start: number; end: number }) {
    super(`position ${init.from} is outside the log (${init.start} to ${init.end})`)
    this.start = init.start
    this.end = init.end
  }
}

/**
 * The stored data cannot be used: damaged, of a newer version, in use by another process, on a
 * network file system.
 */
export class LogOpenError extends Error {
  override readonly name = 'LogOpenError'
  readonly code: 'IN_USE' | 'DAMAGED' | 'NEWER_VERSION' | 'NOT_WRITABLE' | 'NETWORK_FILE_SYSTEM'
  /** File or directory. */
  readonly path: string
  constructor(code: LogOpenError['code'], path: string, message: string) {
    super(message)
    this.code = code
    this.path = path
  }
}

/**
 * A record may not be larger than this, bytes (a commit is at most 4 MiB, a publish batch is
 * split).
 */
export const RECORD_MAX_BYTES = 8 * 1024 * 1024

/** The port. Positions start at 0. */
export interface EventLog {
  /** `memory`, `sqlite`, `kafka`. */
  readonly kind: string
  /** What an acknowledged append survives, for people. */
  readonly durability: string
  /**
   * Appends in order, atomically, durably. Resolves with the position of the first entry; the
   * others follow without a gap. Rejects with {@link AppendOutcomeUnknownError} or {@link
   * AppendRefusedError}.
   */
  append(address: LogAddress, entries: readonly LogEntry[]): Promise<{ position: number }>
  /**
   * Reads from `from` on. Waits up to `waitMs` while there is nothing. Only durable records are
   * seen. Rejects with {@link LogOutOfRangeError}, or the signal's reason.
   */
  fetch(
    address: LogAddress,
    options: { from: number; maxBytes: number; waitMs: number; signal?: AbortSignal },
  ): Promise<FetchResult>
  /** Lowest position kept and position of the next record. */
  range(address: LogAddress): Promise<{ start: number; end: number }>
  /** Removes everything below `below`. */
  trim(address: LogAddress, below: number): Promise<void>
  close(): Promise<void>
}

/** Topic of a service's private log. */
export const logTopic = (service: string): string => `serverlessai.log.${service}.v1`

/** A stored snapshot. */
export interface SnapshotInfo {
  /** `<position>-<random>`, never reused. */
  readonly name: string
  /** Position of the last record folded into it. */
  readonly position: number
  readonly bytes: number
  /** SHA-256 of the content, hex. */
  readonly digest: string
  /** Version of the snapshot's content. */
  readonly schemaVersion: number
}

/** Where snapshots live: chunked, checksummed, manifest last, never overwritten. */
export interface SnapshotStore {
  /** False: nothing is put here, by nobody. Default true. */
  readonly keeps?: boolean
  /** Stores under a new name; visible to `list` only when whole. */
  put(
    address: LogAddress,
    snapshot: { position: number; schemaVersion: number; content: Uint8Array },
  ): Promise<SnapshotInfo>
  /** Whole snapshots, newest first; torn ones are left out. */
  list(address: LogAddress): Promise<readonly SnapshotInfo[]>
  /** Content, checked against its checksums; undefined when it is damaged. */
  get(address: LogAddress, name: string): Promise<Uint8Array | undefined>
  remove(address: LogAddress, name: string): Promise<void>
}
