import { type LogAddress, type LogEntry, LogOutOfRangeError, type LogRecord } from '../port.ts'

/** Hears of records that landed in a partition: of all that one append brought, at once. */
export type OnLand = (address: LogAddress, records: readonly LogRecord[]) => void

/** One partition: records from `start` on, and who waits for the next one. */
export interface MemoryPartition {
  readonly address: LogAddress
  readonly onLand: OnLand | undefined
  start: number
  records: LogRecord[]
  readonly waiters: Set<() => void>
}

/** What openers of one memory log share: the log itself. */
export interface MemoryLogStore {
  partition(address: LogAddress): MemoryPartition
}

/**
 * An empty log that lives as long as this object. `onLand` hears of everything that lands, before
 * any reader does.
 */
export function createMemoryLogStore(options: { onLand?: OnLand } = {}): MemoryLogStore {
  const topics = new Map<string, Map<number, MemoryPartition>>()
  return {
    partition({ topic, partition }) {
      let partitions = topics.get(topic)
      if (partitions === undefined) {
        partitions = new Map()
        topics.set(topic, partitions)
      }
      let found = partitions.get(partition)
      if (found === undefined) {
        const address = { topic, partition }
        found = { address, onLand: options.onLand, start: 0, records: [], waiters: new Set() }
        partitions.set(partition, found)
      }
      return found
    },
  }
}

/** Position of the next record. */
export const endOf = (partition: MemoryPartition): number =>
  partition.start + partition.records.length

/**
 * Appends entries, whose bytes nobody changes any more, and wakes the readers; returns the position
 * of the first.
 */
export function land(partition: MemoryPartition, entries: readonly LogEntry[]): number {
  const first = endOf(partition)
  const landed = entries.map(({ key, headers, value }, index): LogRecord => {
    return { key, headers, value, position: first + index }
  })
  for (const record of landed) partition.records.push(record)
  partition.onLand?.(partition.address, landed)
  for (const wake of [...partition.waiters]) wake()
  return first
}

/**
 * Records from `from` on: at least one if there is one, else as many as fit. Throws {@link
 * LogOutOfRangeError}.
 */
export function slice(partition: MemoryPartition, from: number, maxBytes: number): LogRecord[] {
  const end = endOf(partition)
  if (from < partition.start || from > end) {
    throw new LogOutOfRangeError({ from, start: partition.start, end })
  }
  const found: LogRecord[] = []
  let bytes = 0
  for (let index = from - partition.start; index < partition.records.length; index += 1) {
    const record = partition.records[index]!
    bytes += record.value.byteLength
    if (found.length > 0 && bytes > maxBytes) break
    found.push(record)
  }
  return found
}

/** Removes everything below `below`; positions stay. */
export function trim(partition: MemoryPartition, below: number): void {
  const count = Math.min(below, endOf(partition)) - partition.start
  if (count <= 0) return
  partition.records = partition.records.slice(count)
  partition.start += count
}
