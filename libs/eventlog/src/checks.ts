import { AppendRefusedError, type LogAddress, type LogEntry, RECORD_MAX_BYTES } from './port.ts'

/** Partitions are stored as signed 32-bit numbers. */
const PARTITION_MAX = 2 ** 31 - 1

/** Names that were found good, so that a call does not read its name again. */
const goodTopics = new Set<string>()
const GOOD_TOPICS_MAX = 64

function checkTopic(topic: string): void {
  if (goodTopics.has(topic)) return
  if (!/^[A-Za-z0-9._-]{1,249}$/.test(topic)) throw new RangeError(`not a topic name: '${topic}'`)
  if (goodTopics.size >= GOOD_TOPICS_MAX) goodTopics.clear()
  goodTopics.add(topic)
}

/** Throws when the address cannot be one: a bug of the caller. */
export function checkAddress({ topic, partition }: LogAddress): void {
  checkTopic(topic)
  if (!Number.isInteger(partition) || partition < 0 || partition > PARTITION_MAX) {
    throw new RangeError(`not a partition: ${partition}`)
  }
}

/** Throws {@link AppendRefusedError} `RECORD_TOO_LARGE` before anything is written. */
export function checkEntries(address: LogAddress, entries: readonly LogEntry[]): void {
  checkAddress(address)
  if (entries.length === 0) throw new RangeError('an append has at least one entry')
  for (const { value } of entries) {
    if (value.byteLength > RECORD_MAX_BYTES) {
      throw new AppendRefusedError(
        'RECORD_TOO_LARGE',
        `a record of ${value.byteLength} bytes; at most ${RECORD_MAX_BYTES} are taken`,
      )
    }
  }
}
