/** Asks for the health of the leader while nothing is heard of it. */
import { abortable, type Message, type Timer } from '@serverless-ai/kernel'
import type { RuntimeContext } from './context.ts'
import { NO_ANSWER_MS, type Standby } from './standby.ts'
import type { LeaderHealthAnswer } from './types.ts'

/** Whom to ask for what. */
export interface Question {
  readonly address: string
  /** See `claimName`. */
  readonly claim: string
}

/** What the watch needs from its runtime. */
export interface LeaderWatchHost {
  /** Undefined = there is nobody to ask now (leading, catching up, nobody leads). */
  question(): Question | undefined
  /** The standby knows something new. */
  answered(answer: LeaderHealthAnswer | undefined): void
}

/** One question at a time, each with its deadline. Costs nothing per record. */
export class LeaderWatch<S, C extends Message, E extends Message> {
  readonly #context: RuntimeContext<S, C, E>
  readonly #standby: Standby
  readonly #host: LeaderWatchHost
  #timer: Timer | undefined
  #asking: AbortController | undefined
  #askedMs = 0
  #closed = false

  constructor(context: RuntimeContext<S, C, E>, standby: Standby, host: LeaderWatchHost) {
    this.#context = context
    this.#standby = standby
    this.#host = host
  }

  /**
   * There may be somebody to watch. The first question is asked at once, because what was folded
   * from the log may be old.
   */
  start(): void {
    if (this.#timer !== undefined || this.#asking !== undefined || this.#closed) return
    this.#ask()
  }

  /** Another claim is followed: the question on its way is about nobody any more. */
  changed(): void {
    this.#asking?.abort(new Error('another claim is followed'))
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.changed()
  }

  #ask(): void {
    this.#timer = undefined
    const { leaderHealth } = this.#context.environment
    const question = this.#host.question()
    if (question === undefined || leaderHealth === undefined) return
    const { clock } = this.#context.ports
    const abort = new AbortController()
    this.#asking = abort
    this.#askedMs = clock.monotonicMs()
    this.#standby.asked(this.#askedMs)
    const deadline = this.#context.ports.timers.after(NO_ANSWER_MS, () =>
      abort.abort(new Error('no answer in time')),
    )
    const asked = (async () => leaderHealth(question.address, question.claim, abort.signal))()
    void abortable(asked, abort.signal)
      .catch(() => undefined)
      .then((answer) => {
        deadline.cancel()
        this.#asking = undefined
        if (this.#closed) return
        const at = { askedMs: this.#askedMs, nowMs: clock.monotonicMs() }
        // About another claim by now: no answer at all.
        if (this.#host.question()?.claim === question.claim) {
          this.#standby.answered(answer, at)
          this.#host.answered(answer)
        }
        this.#askLater()
      })
  }

  #askLater(): void {
    const { clock, timers } = this.#context.ports
    const waitMs = this.#standby.nextQuestionMs(this.#askedMs) - clock.monotonicMs()
    if (waitMs <= 0) this.#ask()
    else this.#timer = timers.after(waitMs, () => this.#askLater())
  }
}
