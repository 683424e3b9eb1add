import { type LogAddress, type LogEntry, LogOutOfRangeError, type LogRecord } from '../port.ts'

/** One partition: records from `start` on, and who waits for the next one. */
export interface MemoryPartition {
  start: number
  records: LogRecord[]
  readonly waiters: Set<() => void>
}

/** What openers of one memory log share: the log itself. */
export interface MemoryLogStore {
  partition(address: LogAddress): MemoryPartition
}

/** An empty log that lives as long as this object. */
export function createMemoryLogStore(): MemoryLogStore {
  const partitions = new Map<string, MemoryPartition>()
  return {
    partition({ topic, partition }) {
      const name = `${topic}/${partition}`
      let found = partitions.get(name)
      if (found === undefined) {
        found = { start: 0, records: [], waiters: new Set() }
        partitions.set(name, found)
      }
      return found
    },
  }
}

/** Position of the next record. */
export const endOf = (partition: MemoryPartition): number =>
  partition.start + partition.records.length

/** Appends copies and wakes the readers; returns the position of the first. */
export function land(partition: MemoryPartition, entries: readonly LogEntry[]): number {
  const first = endOf(partition)
  entries.forEach((entry, index) => {
    const record = { ...entry, value: new Uint8Array(entry.value), position: first + index }
    partition.records.push(record)
  })
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
