import type { PositionToken } from '@serverless-ai/runtime'

/** Commits that are remembered; older ones have no position in stories. */
const COMMITS_MAX = 50_000

/**
 * Log time → position, for stories: what a reader gives back as `at_position`. Kept in memory, as
 * far as this replica has read.
 */
export class CommitPositions {
  #times: number[] = []
  #tokens: PositionToken[] = []

  /** Notes a commit. Times never decrease, but a replica that folds again tells the past anew. */
  note(atMs: number, token: PositionToken): void {
    const lastMs = this.#times.at(-1) ?? 0
    if (atMs < lastMs) return
    if (atMs === lastMs && this.#times.length > 0) this.#tokens[this.#tokens.length - 1] = token
    else {
      this.#times.push(atMs)
      this.#tokens.push(token)
    }
    if (this.#times.length < 2 * COMMITS_MAX) return
    this.#times = this.#times.slice(-COMMITS_MAX)
    this.#tokens = this.#tokens.slice(-COMMITS_MAX)
  }

  /** Position of the last commit of that time; empty when it is not remembered. */
  at(atMs: number): PositionToken | '' {
    let low = 0
    let high = this.#times.length - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      const time = this.#times[middle]!
      if (time === atMs) return this.#tokens[middle]!
      if (time < atMs) low = middle + 1
      else high = middle - 1
    }
    return ''
  }
}
