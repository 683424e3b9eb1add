import type { LogEntry, LogRecord } from '../port.ts'

/** Bytes of the newest records kept per partition. */
const CACHE_MAX_BYTES = 1024 * 1024

/**
 * The newest durable records of a partition: readers at the tail are served without asking the
 * worker.
 */
export class TailCache {
  #records: LogRecord[] = []
  #bytes = 0

  /** Adds records that follow the last ones. */
  add(position: number, entries: readonly LogEntry[]): void {
    const last = this.#records.at(-1)
    if (last !== undefined && last.position + 1 !== position) this.clear()
    entries.forEach((entry, index) => {
      this.#records.push({ ...entry, position: position + index })
      this.#bytes += entry.value.byteLength
    })
    let drop = 0
    while (this.#bytes > CACHE_MAX_BYTES && drop < this.#records.length - 1) {
      this.#bytes -= this.#records[drop]!.value.byteLength
      drop += 1
    }
    if (drop > 0) this.#records = this.#records.slice(drop)
  }

  /** Records from `from` on, at least one, as many as fit; undefined when `from` is not held. */
  read(from: number, maxBytes: number): LogRecord[] | undefined {
    const first = this.#records[0]
    if (first === undefined || from < first.position) return undefined
    const found: LogRecord[] = []
    let bytes = 0
    for (let index = from - first.position; index < this.#records.length; index += 1) {
      const record = this.#records[index]!
      bytes += record.value.byteLength
      if (found.length > 0 && bytes > maxBytes) break
      found.push(record)
    }
    return found.length > 0 ? found : undefined
  }

  clear(): void {
    this.#records = []
    this.#bytes = 0
  }
}
