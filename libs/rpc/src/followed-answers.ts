import type { Replay } from './replay.ts'
import type { Route } from './route.ts'

interface FollowedInit {
  /** Opens the stream at an address, with the requests or, without, those of the caller. */
  readonly open: (address: string, requests: unknown) => AsyncIterator<unknown>
  /** Begins to count; what it returns waits for the next attempt, or throws the failure. */
  readonly attempts: () => (error: unknown, address: string) => Promise<void>
  readonly replay: () => Replay | undefined
  readonly route: Route
  readonly signal: AbortSignal | undefined
}

/** The answers of whoever leads: after the first they are handed on without a detour. */
export class FollowedAnswers implements AsyncIterableIterator<unknown> {
  readonly #init: FollowedInit
  #replay: Replay | undefined
  #address = ''
  /** The stream that is read: nobody else is asked once it has answered. */
  #answers: AsyncIterator<unknown> | undefined
  #answered = false
  #over = false

  constructor(init: FollowedInit) {
    this.#init = init
  }

  next(): Promise<IteratorResult<unknown>> {
    if (this.#over) return Promise.resolve(OVER)
    if (!this.#answered) return this.#first()
    return this.#answers!.next().then(this.#taken, this.#lost)
  }

  async return(): Promise<IteratorResult<unknown>> {
    const answers = this.#answers
    this.#end()
    await answers?.return?.()
    return OVER
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async #first(): Promise<IteratorResult<unknown>> {
    const { open, route } = this.#init
    try {
      const again = this.#init.attempts()
      this.#replay = this.#init.replay()
      for (;;) {
        this.#address = route.current
        try {
          this.#answers = open(this.#address, this.#replay?.begin())
          return this.#taken(await this.#answers.next())
        } catch (error) {
          if (this.#over || this.#replay?.repeatable === false) return this.#lost(error)
          await again(error, this.#address)
        }
      }
    } catch (error) {
      this.#end()
      throw error
    }
  }

  readonly #taken = (step: IteratorResult<unknown>): IteratorResult<unknown> => {
    if (step.done === true || this.#over) {
      this.#end()
      return OVER
    }
    if (!this.#answered) this.#replay?.release()
    this.#answered = true
    return step
  }

  readonly #lost = (error: unknown): never => {
    if (!this.#over) this.#init.route.lost(this.#address, error, this.#init.signal)
    this.#end()
    throw error
  }

  #end(): void {
    this.#over = true
    this.#replay?.close()
  }
}

const OVER: IteratorReturnResult<undefined> = { done: true, value: undefined }
