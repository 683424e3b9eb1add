import type { RecordsBatch } from '@platformatic/kafka'
import type { LogRecord } from '../port.ts'

/** Records of an answer from `from` on: at least one if there is one, else as many as fit. */
export function recordsOf(
  batches: readonly RecordsBatch[],
  from: number,
  maxBytes: number,
): LogRecord[] {
  const records: LogRecord[] = []
  let bytes = 0
  for (const batch of batches) {
    // Marks of transactions take positions but are no records: a reader will see the gap.
    if ((batch.attributes & 0x20) !== 0) continue
    const first = Number(batch.firstOffset)
    for (const { offsetDelta, key, value, headers } of batch.records) {
      const position = first + offsetDelta
      if (position < from) continue
      bytes += value?.byteLength ?? 0
      if (records.length > 0 && bytes > maxBytes) return records
      records.push({
        position,
        key: key === null ? '' : key.toString(),
        headers: Object.fromEntries(
          headers.map(([name, text]) => [name?.toString() ?? '', text?.toString() ?? '']),
        ),
        value: value ?? new Uint8Array(0),
      })
    }
  }
  return records
}
