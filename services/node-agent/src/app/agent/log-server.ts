import type { ConnectRequest, LogRequest } from '@serverless-ai/contracts/agent/v1/agent'
import { keyFromProto } from '../../adapters/grpc/mapping.ts'
import { messageOf } from '../../core/errors.ts'
import type { LogSource } from './log-source.ts'

/** Logs read at once over one stream. */
const LOGS_MAX = 64

/** A log that is being read for the pool manager. */
interface Serving {
  readonly cancel: AbortController
  /** Pieces that may still be sent; undefined = no limit. */
  credit: number | undefined
  /** Goes on when there is credit again, or the request is over. */
  resume: () => void
}

/** What a log server needs. */
export interface LogServerOptions {
  readonly logSource: LogSource
  /** Resolves when the transport took the piece. */
  readonly send: (message: NonNullable<ConnectRequest['message']>) => Promise<void>
}

/** Reads logs for the other end of one stream, as fast as it takes them. */
export class LogServer {
  private readonly options: LogServerOptions
  private readonly serving = new Map<bigint, Serving>()

  constructor(options: LogServerOptions) {
    this.options = options
  }

  /** Serves a request until the log has ended, or it is cancelled. */
  async serve(request: LogRequest): Promise<void> {
    const { id, tailLines, follow, windowChunks } = request
    const key = keyFromProto(request.key)
    if (key === undefined) return this.end(id, 'the request names no execution')
    if (this.serving.size >= LOGS_MAX) {
      return this.end(id, `more than ${LOGS_MAX} logs are read at once`)
    }
    const cancel = new AbortController()
    const credit = windowChunks === 0 ? undefined : windowChunks
    const serving: Serving = { cancel, credit, resume: () => undefined }
    this.serving.set(id, serving)
    const { logSource } = this.options
    try {
      const query = { key, tailLines, follow }
      for await (const data of logSource.read(query, cancel.signal)) {
        await this.creditOf(serving)
        if (cancel.signal.aborted) return
        const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
        const value = { id, data: bytes, end: false, error: '' }
        await this.options.send({ $case: 'logChunk', value })
      }
      await this.end(id, '')
    } catch (error) {
      if (!cancel.signal.aborted) await this.end(id, messageOf(error))
    } finally {
      this.serving.delete(id)
    }
  }

  /** Allows more pieces. */
  allow(id: bigint, chunks: number): void {
    const serving = this.serving.get(id)
    if (serving?.credit === undefined) return
    serving.credit += chunks
    serving.resume()
  }

  /** Ends a request. */
  cancel(id: bigint): void {
    const serving = this.serving.get(id)
    serving?.cancel.abort()
    serving?.resume()
  }

  /** Ends all requests. */
  close(): void {
    for (const id of [...this.serving.keys()]) this.cancel(id)
  }

  private async creditOf(serving: Serving): Promise<void> {
    while (serving.credit === 0 && !serving.cancel.signal.aborted) {
      await new Promise<void>((resolve) => {
        serving.resume = resolve
      })
    }
    if (serving.credit !== undefined) serving.credit -= 1
  }

  private end(id: bigint, error: string): Promise<void> {
    const value = { id, data: Buffer.alloc(0), end: true, error }
    return this.options.send({ $case: 'logChunk', value })
  }
}
