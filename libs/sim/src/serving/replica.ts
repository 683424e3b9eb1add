import { CHUNK_TOKENS, KV_TOKENS_MAX, type Latency, MAX_BATCH } from './latency.ts'
import type { Ledger } from './ledger.ts'

/** Where a replica is in its life. */
export type ReplicaPhase = 'starting' | 'ready' | 'draining' | 'gone'

/** Prompt tokens that may wait inside a replica; more are held at the gate. */
export const QUEUE_TOKENS_MAX = 8_192
/** Longest run of equal iterations that is one event, so that growing contexts show. */
const RUN_MAX = 64
/** What a decode counts for beside prompt tokens when loads are compared. */
const DECODE_LOAD = 32

/** A prompt that has not been read to its end. */
interface Prompt {
  readonly request: number
  doneTokens: number
}

/** Output that ends at a known iteration: a heap by that. */
class Ends {
  readonly #iterations: number[] = []
  readonly #requests: number[] = []

  get size(): number {
    return this.#iterations.length
  }

  get first(): number {
    return this.#iterations[0] ?? Number.POSITIVE_INFINITY
  }

  push(iteration: number, request: number): void {
    let at = this.#iterations.length
    this.#iterations.push(iteration)
    this.#requests.push(request)
    while (at > 0) {
      const up = (at - 1) >> 1
      if (this.#iterations[up]! <= this.#iterations[at]!) return
      this.#swap(at, up)
      at = up
    }
  }

  pop(): number {
    const last = this.#iterations.length - 1
    this.#swap(0, last)
    this.#iterations.pop()
    const request = this.#requests.pop()!
    for (let at = 0; ; ) {
      const left = 2 * at + 1
      if (left >= last) return request
      const right = left + 1
      const less = right < last && this.#iterations[right]! < this.#iterations[left]!
      const down = less ? right : left
      if (this.#iterations[at]! <= this.#iterations[down]!) return request
      this.#swap(at, down)
      at = down
    }
  }

  #swap(a: number, b: number): void {
    const iterations = this.#iterations
    const requests = this.#requests
    const iteration = iterations[a]!
    const request = requests[a]!
    iterations[a] = iterations[b]!
    requests[a] = requests[b]!
    iterations[b] = iteration
    requests[b] = request
  }
}

/**
 * A replica with continuous batching: an iteration reads up to 2,048 prompt tokens (chunked
 * prefill, first come first served) and gives every running request one output token; at most 64
 * requests run at once, and their contexts fit the memory.
 */
export class Replica {
  phase: ReplicaPhase = 'starting'
  /** When its start-up began, it became ready, it was gone; milliseconds. */
  readonly startedMs: number
  readyMs = Number.NaN
  goneMs = Number.NaN
  /** When its current iterations end; infinite when it is idle. */
  nextMs = Number.POSITIVE_INFINITY
  /** Speed over the table's: below 1 is slower. */
  speed = 1

  readonly #latency: Latency
  readonly #ledger: Ledger
  readonly #ends = new Ends()
  #prompts: Prompt[] = []
  #queuedTokens = 0
  #reservedTokens = 0
  #kvTokens = 0
  #iteration = 0
  /** Of the iterations under way: begin, length of one, how many, prompt tokens in each. */
  #beganMs = 0
  #lengthMs = 0
  #count = 0
  #chunkTokens = 0

  constructor(latency: Latency, ledger: Ledger, startedMs: number) {
    this.#latency = latency
    this.#ledger = ledger
    this.startedMs = startedMs
  }

  /** Requests inside, waiting ones too. */
  get inFlight(): number {
    return this.#prompts.length + this.#ends.size
  }

  /** Prompt tokens that wait inside. */
  get queuedTokens(): number {
    return this.#queuedTokens
  }

  /** For comparing replicas. */
  get load(): number {
    return this.#queuedTokens + DECODE_LOAD * this.inFlight
  }

  /** Whether another request of these tokens (input and output) may enter. */
  takes(tokens: number): boolean {
    if (this.phase !== 'ready' || this.inFlight >= MAX_BATCH) return false
    if (this.inFlight === 0) return true
    return this.#queuedTokens < QUEUE_TOKENS_MAX && this.#reservedTokens + tokens <= KV_TOKENS_MAX
  }

  accept(request: number, nowMs: number): void {
    const { inputTokens, outputTokens } = this.#ledger.requests
    this.#prompts.push({ request, doneTokens: 0 })
    this.#queuedTokens += inputTokens[request]!
    this.#reservedTokens += inputTokens[request]! + outputTokens[request]!
    if (this.nextMs === Number.POSITIVE_INFINITY) this.#begin(nowMs)
    else this.#cutShort(nowMs)
  }

  /** Ends the iterations that are due at `nextMs`; begins the next. Returns when requests left. */
  advance(): boolean {
    const nowMs = this.nextMs
    this.#iteration += this.#count
    this.#kvTokens += this.#count * this.#ends.size
    if (this.#chunkTokens > 0) this.#readPrompts(nowMs)
    let left = false
    while (this.#ends.first <= this.#iteration) {
      this.#leave(this.#ends.pop(), nowMs)
      left = true
    }
    this.#begin(nowMs)
    return left
  }

  /** All that is inside is lost: the replica died. */
  abandon(): readonly number[] {
    const lost = this.#prompts.map(({ request }) => request)
    while (this.#ends.size > 0) lost.push(this.#ends.pop())
    this.#prompts = []
    this.#queuedTokens = 0
    this.nextMs = Number.POSITIVE_INFINITY
    return lost
  }

  #leave(request: number, nowMs: number): void {
    const { inputTokens, outputTokens } = this.#ledger.requests
    const tokens = inputTokens[request]! + outputTokens[request]!
    this.#reservedTokens -= tokens
    this.#kvTokens -= tokens
    this.#ledger.end(request, nowMs)
  }

  /** A run of decodes ends at the next iteration when a prompt has come. */
  #cutShort(nowMs: number): void {
    if (this.#chunkTokens > 0 || this.#count <= 1) return
    const done = Math.floor((nowMs - this.#beganMs) / this.#lengthMs) + 1
    if (done >= this.#count) return
    this.#count = done
    this.nextMs = this.#beganMs + done * this.#lengthMs
  }

  #readPrompts(nowMs: number): void {
    const { inputTokens, outputTokens } = this.#ledger.requests
    let tokens = this.#chunkTokens
    this.#queuedTokens -= tokens
    let read = 0
    for (const prompt of this.#prompts) {
      const { request } = prompt
      const step = Math.min(tokens, inputTokens[request]! - prompt.doneTokens)
      prompt.doneTokens += step
      tokens -= step
      if (prompt.doneTokens < inputTokens[request]!) break
      read += 1
      this.#ledger.firstMs[request] = nowMs
      this.#kvTokens += inputTokens[request]! + 1
      this.#ends.push(this.#iteration + outputTokens[request]! - 1, request)
      if (tokens === 0) break
    }
    this.#prompts.splice(0, read)
  }

  #begin(nowMs: number): void {
    this.#beganMs = nowMs
    const decodes = this.#ends.size
    if (this.#prompts.length > 0) {
      const { tokens, depthTokens } = this.#nextChunk()
      this.#chunkTokens = tokens
      this.#count = 1
      this.#lengthMs = this.#latency.chunkMs(tokens, decodes, depthTokens) / this.speed
    } else if (decodes > 0) {
      this.#chunkTokens = 0
      this.#count = Math.max(1, Math.min(RUN_MAX, this.#ends.first - this.#iteration))
      const kvTokens = this.#kvTokens + (decodes * (this.#count - 1)) / 2
      this.#lengthMs = this.#latency.decodeMs(decodes, kvTokens) / this.speed
    } else {
      this.nextMs = Number.POSITIVE_INFINITY
      return
    }
    this.nextMs = nowMs + this.#count * this.#lengthMs
  }

  #nextChunk(): { tokens: number; depthTokens: number } {
    const { inputTokens } = this.#ledger.requests
    let tokens = 0
    let depthTokens = 0
    for (const { request, doneTokens } of this.#prompts) {
      const step = Math.min(CHUNK_TOKENS - tokens, inputTokens[request]! - doneTokens)
      depthTokens += step * doneTokens
      tokens += step
      if (tokens === CHUNK_TOKENS) break
    }
    return { tokens, depthTokens }
  }
}
