import type { LogChunk } from '@serverless-ai/contracts/agent/v1/agent'
import { AsyncChannel } from '@serverless-ai/kernel'
import { poolError } from '../adapters/errors.ts'
import { keyToProto } from '../adapters/to-proto.ts'
import type { ExecutionKey } from '../core/model.ts'
import type { Outbox } from './outbox.ts'

/** Pieces an agent may send of one log before the reader has taken some: 32 × 64 KiB. */
const LOG_WINDOW_CHUNKS = 32
/** Credit is given back in steps of this many pieces. */
const CREDIT_STEP = 8
/** Logs read from one node at a time; its agent serves no more either. */
const STREAMS_MAX = 64

/** What to read. */
export interface LogQuery {
  readonly key: ExecutionKey
  /** 0 = from the oldest byte kept. */
  readonly tailLines: number
  readonly follow: boolean
  /** Ends the reading. */
  readonly signal: AbortSignal
}

/** Logs that are being read over the stream of one agent. */
export class LogStreams {
  readonly #nodeId: string
  readonly #outbox: Outbox
  readonly #open = new Map<bigint, AsyncChannel<LogChunk>>()
  #lastId = 0n
  #closed = false

  constructor(nodeId: string, outbox: Outbox) {
    this.#nodeId = nodeId
    this.#outbox = outbox
  }

  /** Pieces of a log. Fails with `NODE_AWAY` when the stream ends before the log does. */
  async *read(query: LogQuery): AsyncGenerator<Uint8Array> {
    if (this.#closed) throw poolError('NODE_AWAY', { node: this.#nodeId })
    if (this.#open.size >= STREAMS_MAX) throw poolError('LOG_STREAMS_MAX', { node: this.#nodeId })
    this.#lastId += 1n
    const id = this.#lastId
    // Twice the window: an agent that keeps to it never comes near.
    const channel = new AsyncChannel<LogChunk>({ max: 2 * LOG_WINDOW_CHUNKS })
    this.#open.set(id, channel)
    this.#request(id, query)
    const onAbort = (): void => channel.end()
    query.signal.addEventListener('abort', onAbort, { once: true })
    if (query.signal.aborted) onAbort()
    let ended = false
    let taken = 0
    try {
      for await (const chunk of channel) {
        if (chunk.data.byteLength > 0) yield chunk.data
        if (chunk.error !== '') throw new LogReadError(chunk.error)
        ended = chunk.end
        if (ended) return
        taken += 1
        if (taken % CREDIT_STEP === 0) {
          const value = { id, chunks: CREDIT_STEP }
          this.#outbox.push({ message: { $case: 'logCredit', value } })
        }
      }
    } finally {
      query.signal.removeEventListener('abort', onAbort)
      this.#open.delete(id)
      if (!ended) this.#outbox.push({ message: { $case: 'logCancel', value: { id } } })
    }
  }

  #request(id: bigint, query: LogQuery): void {
    const value = {
      id,
      key: keyToProto(query.key),
      tailLines: query.tailLines,
      follow: query.follow,
      windowChunks: LOG_WINDOW_CHUNKS,
    }
    this.#outbox.push({ message: { $case: 'logRequest', value } })
  }

  /** A piece came; pieces of logs that nobody reads any more are dropped. */
  take(chunk: LogChunk): void {
    const channel = this.#open.get(chunk.id)
    if (channel?.push(chunk) !== 'overflow') return
    channel.fail(new LogReadError('the agent sent more than it was asked for'))
  }

  /** The agent's stream ended. */
  close(): void {
    this.#closed = true
    const away = poolError('NODE_AWAY', { node: this.#nodeId })
    for (const channel of this.#open.values()) channel.fail(away)
  }
}

/** A log cannot be read; the stream it came over is fine. The message is for people. */
export class LogReadError extends Error {
  override readonly name = 'LogReadError'
}
