import type { ConnectRequest } from '@serverless-ai/contracts/agent/v1/agent'

type Message = NonNullable<ConnectRequest['message']>

/** Control messages that may wait at most; more means the stream is stuck. */
const CONTROL_MAX = 256

type Step = IteratorResult<ConnectRequest, void>

interface WaitingLog {
  readonly message: Message
  readonly taken: () => void
}

/**
 * The agent's side of a stream: control messages go first, pieces of logs only when the transport
 * asks for more, so that a slow reader of a log slows the reading of the file.
 */
export class Outgoing implements AsyncIterableIterator<ConnectRequest, void> {
  private readonly control: Message[] = []
  private readonly logs: WaitingLog[] = []
  private reader: ((step: Step) => void) | undefined
  private closed = false

  /** Queues a control message; false when the stream is closed or stuck. */
  send(message: Message): boolean {
    if (this.closed || this.control.length >= CONTROL_MAX) return false
    this.control.push(message)
    this.wake()
    return true
  }

  /** Queues a piece of a log; resolves when it was taken, or the stream is closed. */
  sendLog(message: Message): Promise<void> {
    if (this.closed) return Promise.resolve()
    return new Promise((resolve) => {
      this.logs.push({ message, taken: resolve })
      this.wake()
    })
  }

  /** Ends the stream; what waits is dropped. */
  close(): void {
    this.closed = true
    for (const { taken } of this.logs.splice(0)) taken()
    this.wake()
  }

  /** The next message; one reader at a time. */
  next(): Promise<Step> {
    const step = this.take()
    if (step !== undefined) return Promise.resolve(step)
    return new Promise((resolve) => {
      this.reader = resolve
    })
  }

  /** The reader takes nothing more. */
  return(): Promise<Step> {
    this.close()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  private take(): Step | undefined {
    if (this.closed) return { done: true, value: undefined }
    const message = this.control.shift()
    const log = message === undefined ? this.logs.shift() : undefined
    log?.taken()
    const next = message ?? log?.message
    return next === undefined ? undefined : { done: false, value: { message: next } }
  }

  private wake(): void {
    const { reader } = this
    const step = reader === undefined ? undefined : this.take()
    if (step === undefined) return
    this.reader = undefined
    reader?.(step)
  }
}
