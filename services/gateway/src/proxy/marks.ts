import type { Measured } from '../app/meter.ts'
import type { AnswerMeter, Tokens } from '../core/answer-meter.ts'

const NOTHING: Tokens = { input: undefined, output: undefined }

/** What is noted of a request on its way. Times are of the monotonic clock, ms. */
export class Marks {
  /** Status that the caller was sent. */
  status: number | undefined
  /** It was given to a replica, the last time. */
  givenMs: number | undefined
  firstByteMs: number | undefined
  answer: AnswerMeter | undefined
  #firstTokenMs: number | undefined
  #lastTokenMs: number | undefined

  get tokens(): Tokens {
    return this.answer?.tokens() ?? NOTHING
  }

  /** A piece of the answer came. */
  take(piece: Buffer, nowMs: number): void {
    this.firstByteMs ??= nowMs
    if ((this.answer?.take(piece) ?? 0) === 0) return
    this.#firstTokenMs ??= nowMs
    this.#lastTokenMs = nowMs
  }

  measured(): Pick<
    Measured,
    | 'httpStatus'
    | 'givenMs'
    | 'firstByteMs'
    | 'firstTokenMs'
    | 'lastTokenMs'
    | 'inputTokens'
    | 'outputTokens'
    | 'events'
  > {
    const { status: httpStatus, givenMs, firstByteMs, tokens } = this
    return {
      httpStatus,
      givenMs,
      firstByteMs,
      firstTokenMs: this.#firstTokenMs,
      lastTokenMs: this.#lastTokenMs,
      inputTokens: tokens.input,
      outputTokens: tokens.output,
      events: this.answer?.events ?? 0,
    }
  }
}
