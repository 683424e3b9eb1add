import type { Requests } from './requests.ts'

/** What became of each request; NaN: it never happened. */
export class Ledger {
  readonly requests: Requests
  /** When the first token was out, in milliseconds. */
  readonly firstMs: Float64Array
  /** When the last token was out, in milliseconds. */
  readonly endMs: Float64Array
  /** Requests that ended since the last call of {@link takeEnded}. */
  #ended: number[] = []

  constructor(requests: Requests) {
    this.requests = requests
    const count = requests.arrivalMs.length
    this.firstMs = new Float64Array(count).fill(Number.NaN)
    this.endMs = new Float64Array(count).fill(Number.NaN)
  }

  end(request: number, atMs: number): void {
    this.endMs[request] = atMs
    this.#ended.push(request)
  }

  takeEnded(): readonly number[] {
    const ended = this.#ended
    this.#ended = []
    return ended
  }
}
