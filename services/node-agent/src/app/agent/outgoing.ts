import type { ConnectRequest } from '@serverless-ai/contracts/agent/v1/agent'

type Message = NonNullable<ConnectRequest['message']>

/** Control messages that may wait at most; more means the stream is stuck. */
const CONTROL_MAX = 256

interface WaitingLog {
  readonly message: Message
  readonly taken: () => void
}

/**
 * The agent's side of a stream: control messages go first, pieces of logs only when the transport
 * asks for more, so that a slow reader of a log slows the reading of the file.
 */
export class Outgoing implements AsyncIterable<ConnectRequest> {
  private readonly control: Message[] = []
  private readonly logs: WaitingLog[] = []
  private wake: () => void = () => undefined
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

  async *[Symbol.asyncIterator](): AsyncGenerator<ConnectRequest, void, undefined> {
    try {
      while (!this.closed) {
        const message = this.control.shift()
        const log = message === undefined ? this.logs.shift() : undefined
        log?.taken()
        const next = message ?? log?.message
        if (next !== undefined) yield { message: next }
        else await this.waitForMore()
      }
    } finally {
      this.close()
    }
  }

  private waitForMore(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve
    })
  }
}
