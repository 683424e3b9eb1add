import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { LogAddress } from '../port.ts'
import { damagedError, type LogFiles, logFiles, prepareDirectory } from './directory.ts'
import {
  isDamage,
  mayHaveHappened,
  number,
  openError,
  openMain,
  takeLock,
} from './open-database.ts'
import type { Packed, PartitionRange, WorkerSettings } from './protocol.ts'

/**
 * A record's row id is partition · 2^40 + position: exact in a double for 8,191 partitions of 2^40
 * records.
 */
export const POSITION_SPAN = 2 ** 40
const PARTITIONS_MAX = 8191
/** WAL bytes after which committed pages are moved to the database. */
const CHECKPOINT_BYTES = 16 * 1024 * 1024
/** Records removed in one transaction: a few milliseconds. */
const TRIM_PIECE_ROWS = 500

/** What became of one append of a group. */
export type AppendOutcome =
  | { readonly ok: true; readonly position: number }
  | { readonly ok: false; readonly unknown: boolean; readonly error: unknown }

interface Partition {
  readonly id: number
  readonly address: LogAddress
  start: number
  end: number
}

/** The database file of a log. Used by one thread; every call blocks. */
export class LogDatabase {
  readonly files: LogFiles
  readonly #lock: DatabaseSync
  readonly #db: DatabaseSync
  readonly #insert: StatementSync
  readonly #select: StatementSync
  readonly #remove: StatementSync
  readonly #mark: StatementSync
  readonly #partitions = new Map<string, Partition>()
  #walBytes = 0

  /** Throws {@link LogOpenError}. */
  constructor(settings: WorkerSettings) {
    this.files = logFiles(settings.directory)
    prepareDirectory(this.files)
    this.#lock = takeLock(this.files)
    try {
      this.#db = openMain(this.files, settings)
      this.#insert = this.#db.prepare(
        'insert into records (id, key, headers, value) values (?, ?, ?, ?)',
      )
      this.#select = this.#db.prepare(
        'select id, key, headers, value from records where id >= ? and id < ? order by id',
      )
      this.#remove = this.#db.prepare('delete from records where id >= ? and id < ?')
      this.#mark = this.#db.prepare('update partitions set start = ? where id = ?')
      this.#loadPartitions()
    } catch (error) {
      this.#lock.close()
      throw openError(this.files, this.files.main, error)
    }
  }

  #loadPartitions(): void {
    const last = this.#db.prepare('select max(id) as id from records where id >= ? and id < ?')
    const rows = this.#db.prepare('select id, topic, number, start from partitions').all()
    for (const row of rows) {
      const [id, start] = [number(row, 'id'), number(row, 'start')]
      const address = { topic: String(row['topic']), partition: number(row, 'number') }
      const found = last.get(id * POSITION_SPAN, (id + 1) * POSITION_SPAN)
      const lastId = number(found, 'id')
      const end = lastId === 0 ? start : Math.max(start, lastId - id * POSITION_SPAN + 1)
      this.#partitions.set(`${address.topic}/${address.partition}`, { id, address, start, end })
    }
  }

  /** Where every known partition stands. */
  ranges(): PartitionRange[] {
    return [...this.#partitions.values()].map(({ address, start, end }) => ({
      address,
      start,
      end,
    }))
  }

  #find(address: LogAddress): Partition | undefined {
    return this.#partitions.get(`${address.topic}/${address.partition}`)
  }

  /** The partition's row, made when it is new; inside a transaction. */
  #make(address: LogAddress, made: string[]): Partition {
    const found = this.#find(address)
    if (found !== undefined) return found
    const id = this.#partitions.size + 1
    if (id > PARTITIONS_MAX) throw new Error(`a log holds at most ${PARTITIONS_MAX} partitions`)
    this.#db
      .prepare('insert into partitions (id, topic, number, start) values (?, ?, ?, 0)')
      .run(id, address.topic, address.partition)
    const partition = { id, address, start: 0, end: 0 }
    const name = `${address.topic}/${address.partition}`
    this.#partitions.set(name, partition)
    made.push(name)
    return partition
  }

  /** Writes all appends of a group in one transaction with one fsync: all of them or none. */
  appendGroup(group: readonly { address: LogAddress; packed: Packed }[]): AppendOutcome[] {
    const before = new Map<Partition, number>()
    const made: string[] = []
    let committing = false
    try {
      this.#db.exec('begin immediate')
      const positions = group.map(({ address, packed }) => {
        const partition = this.#make(address, made)
        if (!before.has(partition)) before.set(partition, partition.end)
        return this.#insertAll(partition, packed)
      })
      committing = true
      this.#db.exec('commit')
      return positions.map((position) => ({ ok: true, position }))
    } catch (error) {
      this.#rollback()
      for (const [partition, end] of before) partition.end = end
      for (const name of made) this.#partitions.delete(name)
      const unknown = committing && mayHaveHappened(error)
      return group.map(() => ({ ok: false, unknown, error }))
    }
  }

  #insertAll(partition: Partition, { keys, headers, lengths, buffer }: Packed): number {
    const position = partition.end
    const base = partition.id * POSITION_SPAN
    let at = 0
    for (let index = 0; index < lengths.length; index += 1) {
      const value = new Uint8Array(buffer, at, lengths[index]!)
      at += lengths[index]!
      this.#insert.run(base + partition.end, keys[index]!, headers[index]!, value)
      partition.end += 1
    }
    this.#walBytes += at + 8192
    return position
  }

  #rollback(): void {
    try {
      if (this.#db.isTransaction) this.#db.exec('rollback')
    } catch {
      // SQLite rolls back by itself when the disk is full; the first error is the one that counts.
    }
  }

  /** True when `checkpoint` is due. */
  get checkpointDue(): boolean {
    return this.#walBytes >= CHECKPOINT_BYTES
  }

  /**
   * Moves committed pages from the WAL to the database. A failure is no loss: the pages stay in the
   * WAL.
   */
  checkpoint(): void {
    this.#walBytes = 0
    try {
      this.#db.exec('pragma wal_checkpoint(passive)')
    } catch (error) {
      if (isDamage(error)) throw error
    }
  }

  /** Records from `from` on, at least one if there is one, as many as fit into `maxBytes`. */
  read(address: LogAddress, from: number, maxBytes: number): Packed {
    const partition = this.#find(address)
    const [keys, headers, values]: [string[], string[], Uint8Array[]] = [[], [], []]
    let total = 0
    if (partition !== undefined && from >= partition.start) {
      const base = partition.id * POSITION_SPAN
      for (const row of this.#select.iterate(base + from, base + partition.end)) {
        const value = row['value']
        const wanted = from + values.length
        if (row['id'] !== base + wanted || !(value instanceof Uint8Array)) {
          throw damagedError(this.files, this.files.main, `record ${wanted} is missing`)
        }
        if (values.length > 0 && total + value.byteLength > maxBytes) break
        total += value.byteLength
        keys.push(String(row['key']))
        headers.push(String(row['headers']))
        values.push(value)
      }
    }
    const bytes = new Uint8Array(total)
    let at = 0
    for (const value of values) {
      bytes.set(value, at)
      at += value.byteLength
    }
    return { keys, headers, lengths: values.map((each) => each.byteLength), buffer: bytes.buffer }
  }

  /**
   * Removes a piece of what is below `below`. Returns true when nothing is left to remove: between
   * pieces others get their turn.
   */
  trimPiece(address: LogAddress, below: number): boolean {
    const partition = this.#find(address)
    if (partition === undefined) return true
    const target = Math.min(below, partition.end)
    if (partition.start >= target) return true
    const base = partition.id * POSITION_SPAN
    const next = Math.min(target, partition.start + TRIM_PIECE_ROWS)
    this.#db.exec('begin immediate')
    try {
      this.#mark.run(next, partition.id)
      this.#remove.run(base + partition.start, base + next)
      this.#db.exec('commit')
    } catch (error) {
      this.#rollback()
      throw error
    }
    partition.start = next
    if (next < target) return false
    // The freed pages are used again by later appends once the WAL is folded in.
    this.checkpoint()
    return true
  }

  /** Folds the WAL into the database and lets go of the lock. */
  close(): void {
    try {
      this.#db.exec('pragma wal_checkpoint(truncate)')
    } catch {
      // Disk full: the WAL stays and is read at the next start.
    }
    this.#db.close()
    this.#lock.close()
  }
}
