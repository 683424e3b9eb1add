import { isUuidV7, uuidTimeMs } from '@serverless-ai/kernel'
import type { AnswerFact } from './facts.ts'
import { MinHeap } from './heap.ts'

/** A request id older than this is refused and forgotten, ms. */
export const REQUEST_AGE_MAX_MS = 24 * 3_600_000
/** A request id further ahead of the log's time than this is refused, ms. */
export const REQUEST_AHEAD_MAX_MS = 5 * 60_000

/** An effective answer. */
export interface KeptAnswer {
  readonly bodyHash: Uint8Array
  /** JSON of the outcome. */
  readonly outcome: string
  /** Log position of its commit. */
  readonly position: number
  /** Public seq after its commit. */
  readonly publicSeq: number
}

/** A kept answer in snapshots: id, body hash (base64), outcome, position, public seq. */
export type KeptAnswerJson = readonly [string, string, string, number, number]

/** Why a request id cannot be taken; undefined = it can. */
export function refuseRequestId(
  requestId: string,
  atMs: number,
): 'REQUEST_ID_INVALID' | 'REQUEST_TOO_OLD' | 'REQUEST_FROM_FUTURE' | undefined {
  const timeMs = uuidTimeMs(requestId)
  if (timeMs === undefined) return 'REQUEST_ID_INVALID'
  if (atMs - timeMs > REQUEST_AGE_MAX_MS) return 'REQUEST_TOO_OLD'
  return timeMs - atMs > REQUEST_AHEAD_MAX_MS ? 'REQUEST_FROM_FUTURE' : undefined
}

/**
 * Answers by request id. An entry goes when its id's own time is too old, by the same test that
 * refuses the id: an id is either known or too old, so nothing is ever carried out twice.
 */
export class AnswersTable {
  readonly #entries = new Map<string, KeptAnswer>()
  readonly #byTime = new MinHeap<{ id: string; timeMs: number }>((a, b) => a.timeMs < b.timeMs)

  get size(): number {
    return this.#entries.size
  }

  get(requestId: string): KeptAnswer | undefined {
    return this.#entries.get(requestId)
  }

  /** Keeps an answer of an effective commit. */
  put(answer: AnswerFact, at: { position: number; publicSeq: number }): void {
    const { requestId, bodyHash, outcome } = answer
    if (requestId === '' || !isUuidV7(requestId)) return
    this.#set(requestId, { bodyHash, outcome, ...at })
  }

  #set(id: string, kept: KeptAnswer): void {
    if (!this.#entries.has(id)) this.#byTime.push({ id, timeMs: uuidTimeMs(id) ?? 0 })
    this.#entries.set(id, kept)
  }

  /** Drops what is too old at this log time. */
  prune(atMs: number): void {
    for (;;) {
      const oldest = this.#byTime.peek()
      if (oldest === undefined || atMs - oldest.timeMs <= REQUEST_AGE_MAX_MS) return
      this.#byTime.pop()
      this.#entries.delete(oldest.id)
    }
  }

  toJson(): KeptAnswerJson[] {
    return [...this.#entries].map(([id, { bodyHash, outcome, position, publicSeq }]) => [
      id,
      Buffer.from(bodyHash).toString('base64'),
      outcome,
      position,
      publicSeq,
    ])
  }

  static fromJson(json: readonly KeptAnswerJson[]): AnswersTable {
    const table = new AnswersTable()
    for (const [id, hash, outcome, position, publicSeq] of json) {
      table.#set(id, { bodyHash: Buffer.from(hash, 'base64'), outcome, position, publicSeq })
    }
    return table
  }
}
