/**
 * Messages between the log's thread and its worker. Bytes travel in one packed buffer per message,
 * transferred, not copied.
 */
import type { AppendRefusedError, LogAddress, LogEntry, LogOpenError } from '../port.ts'

/** Entries in one buffer. */
export interface Packed {
  readonly keys: readonly string[]
  /** JSON objects; empty text for no headers. */
  readonly headers: readonly string[]
  /** Bytes of each value. */
  readonly lengths: readonly number[]
  readonly buffer: ArrayBuffer
}

/** What the worker is started with. */
export interface WorkerSettings {
  readonly directory: string
  /** Pages of 4 KiB the file may have; 0 = no limit. */
  readonly maxPages: number
}

export type ToWorker =
  | {
      readonly type: 'append'
      readonly id: number
      readonly address: LogAddress
      readonly packed: Packed
    }
  | {
      readonly type: 'read'
      readonly id: number
      readonly address: LogAddress
      readonly from: number
      readonly maxBytes: number
    }
  | {
      readonly type: 'trim'
      readonly id: number
      readonly address: LogAddress
      readonly below: number
    }
  | { readonly type: 'close'; readonly id: number }

/** Where a partition stands. */
export interface PartitionRange {
  readonly address: LogAddress
  readonly start: number
  readonly end: number
}

/** Answer to one request. */
export type Reply =
  | { readonly type: 'appended'; readonly id: number; readonly position: number }
  | { readonly type: 'read'; readonly id: number; readonly from: number; readonly packed: Packed }
  | { readonly type: 'done'; readonly id: number }
  | {
      readonly type: 'refused'
      readonly id: number
      readonly code: AppendRefusedError['code']
      readonly message: string
    }
  | { readonly type: 'unknown'; readonly id: number; readonly message: string }
  | {
      readonly type: 'damaged'
      readonly id: number
      readonly path: string
      readonly message: string
    }

export type FromWorker =
  | { readonly type: 'opened'; readonly partitions: readonly PartitionRange[] }
  | {
      readonly type: 'openFailed'
      readonly code: LogOpenError['code']
      readonly path: string
      readonly message: string
    }
  | { readonly type: 'replies'; readonly replies: readonly Reply[] }

const headersText = (headers: LogEntry['headers']): string => {
  for (const _ in headers) return JSON.stringify(headers)
  return ''
}

/** Packs copies of the entries. */
export function pack(entries: readonly LogEntry[]): Packed {
  const total = entries.reduce((sum, { value }) => sum + value.byteLength, 0)
  const bytes = new Uint8Array(total)
  let at = 0
  for (const { value } of entries) {
    bytes.set(value, at)
    at += value.byteLength
  }
  return {
    keys: entries.map(({ key }) => key),
    headers: entries.map(({ headers }) => headersText(headers)),
    lengths: entries.map(({ value }) => value.byteLength),
    buffer: bytes.buffer,
  }
}

/** The packed entries; values are views of the buffer. */
export function unpack({ keys, headers, lengths, buffer }: Packed): LogEntry[] {
  let at = 0
  return lengths.map((length, index) => {
    const value = new Uint8Array(buffer, at, length)
    at += length
    const text = headers[index]!
    return { key: keys[index]!, headers: text === '' ? {} : JSON.parse(text), value }
  })
}
