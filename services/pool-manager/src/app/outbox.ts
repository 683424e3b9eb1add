import type {
  ConnectResponse,
  DesiredSet,
  HeartbeatAck,
} from '@serverless-ai/contracts/agent/v1/agent'

type Step = IteratorResult<ConnectResponse>
const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined }

/** Messages that wait for one agent, beyond the two that replace each other. */
const OUTBOX_MAX = 1_024

/**
 * What waits to be sent to an agent: a bounded queue, and one place each for the newest heartbeat
 * answer and the newest desired set, because a newer one makes the older one pointless.
 */
export class Outbox {
  readonly #queue: ConnectResponse[] = []
  #heartbeatAck: HeartbeatAck | undefined
  #desired: DesiredSet | undefined
  #ended = false
  #error: unknown
  #wake: (() => void) | undefined

  get ended(): boolean {
    return this.#ended
  }

  /** False when the agent does not take its messages: end the stream then. */
  push(message: ConnectResponse): boolean {
    if (this.#ended) return true
    if (this.#queue.length >= OUTBOX_MAX) return false
    this.#queue.push(message)
    this.#wake?.()
    return true
  }

  /** Replaces an answer that still waits: the newest renews the lease for longest. */
  setHeartbeatAck(ack: HeartbeatAck): void {
    this.#heartbeatAck = ack
    this.#wake?.()
  }

  /** Replaces a set that still waits. */
  setDesired(desired: DesiredSet): void {
    this.#desired = desired
    this.#wake?.()
  }

  /** Ends the stream; what waits is dropped. With `error` the agent sees it. */
  end(error?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    this.#wake?.()
  }

  /** What waits, and what comes, in order; to be read once. */
  messages(): AsyncIterableIterator<ConnectResponse> {
    const iterator = {
      next: () => this.#step(),
      return: (): Promise<Step> => Promise.resolve(DONE),
      [Symbol.asyncIterator]: () => iterator,
    }
    return iterator
  }

  async #step(): Promise<Step> {
    while (!this.#ended) {
      const value = this.#next()
      if (value !== undefined) return { done: false, value }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
    if (this.#error !== undefined) throw this.#error
    return DONE
  }

  #next(): ConnectResponse | undefined {
    const first = this.#queue.shift()
    if (first !== undefined) return first
    if (this.#heartbeatAck !== undefined) {
      const value = this.#heartbeatAck
      this.#heartbeatAck = undefined
      return { message: { $case: 'heartbeatAck', value } }
    }
    if (this.#desired === undefined) return undefined
    const value = this.#desired
    this.#desired = undefined
    return { message: { $case: 'desired', value } }
  }
}
