import { type LatencyTable, timeAt } from './latency.ts'

/** A request that is being answered. */
export interface Sequence {
  readonly promptTokens: number
  readonly answerTokens: number
  /** Called for each token, from 1; true with the last one. */
  readonly onToken: (index: number, last: boolean) => void
}

/** What runs while time passes. */
export interface EngineTimers {
  after(ms: number, fn: () => void): void
}

interface Running {
  readonly sequence: Sequence
  made: number
}

/** Prompt tokens of one step at most, as vLLM's `max_num_batched_tokens`. */
const STEP_PROMPT_TOKENS = 8_192

/**
 * Continuous batching: each step either reads the prompts that wait (as many as fit) or makes one
 * token of every sequence. A step takes what the table says; sequences join and leave between
 * steps.
 */
export class Engine {
  readonly #table: LatencyTable
  readonly #speed: number
  readonly #batchMax: number
  readonly #timers: EngineTimers
  readonly #waiting: Sequence[] = []
  #running: Running[] = []
  #busy = false

  /** @param init `speed`: steps take this much less time, 1 = as measured */
  constructor(init: {
    table: LatencyTable
    batchMax: number
    timers: EngineTimers
    speed?: number
  }) {
    this.#table = init.table
    this.#batchMax = init.batchMax
    this.#timers = init.timers
    this.#speed = init.speed ?? 1
  }

  get waiting(): number {
    return this.#waiting.length
  }

  get running(): number {
    return this.#running.length
  }

  add(sequence: Sequence): void {
    this.#waiting.push(sequence)
    this.#step()
  }

  /** Its caller has left. */
  remove(sequence: Sequence): void {
    const at = this.#waiting.indexOf(sequence)
    if (at >= 0) this.#waiting.splice(at, 1)
    this.#running = this.#running.filter((one) => one.sequence !== sequence)
  }

  #step(): void {
    if (this.#busy) return
    const prompts = this.#prompts()
    const [ms, done] =
      prompts.length > 0
        ? [this.#promptMs(prompts), () => this.#read(prompts)]
        : [timeAt(this.#table.tokenMs, this.#running.length), () => this.#decode()]
    if (prompts.length === 0 && this.#running.length === 0) return
    this.#busy = true
    this.#timers.after(ms / this.#speed, () => {
      this.#busy = false
      done()
      this.#step()
    })
  }

  /** Prompts of the next step; one that is too long for a step has one of its own. */
  #prompts(): Sequence[] {
    const taken: Sequence[] = []
    let tokens = 0
    while (this.#running.length + taken.length < this.#batchMax) {
      const [next] = this.#waiting
      if (next === undefined) break
      if (taken.length > 0 && tokens + next.promptTokens > STEP_PROMPT_TOKENS) break
      tokens += next.promptTokens
      taken.push(next)
      this.#waiting.shift()
    }
    // They count as running from now on: their callers may leave meanwhile.
    for (const sequence of taken) this.#running.push({ sequence, made: 0 })
    return taken
  }

  #promptMs(prompts: readonly Sequence[]): number {
    const tokens = prompts.reduce((sum, { promptTokens }) => sum + promptTokens, 0)
    return timeAt(this.#table.promptMs, tokens)
  }

  /** The step that reads a prompt makes its first token. */
  #read(prompts: readonly Sequence[]): void {
    const fresh = new Set(prompts)
    this.#make(this.#running.filter(({ sequence }) => fresh.has(sequence)))
  }

  #decode(): void {
    this.#make(this.#running)
  }

  #make(all: readonly Running[]): void {
    const ended = new Set<Running>()
    for (const one of all) {
      one.made += 1
      const last = one.made >= one.sequence.answerTokens
      if (last) ended.add(one)
      one.sequence.onToken(one.made, last)
    }
    this.#running = this.#running.filter((one) => !ended.has(one))
  }
}
