import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { Readable } from 'node:stream'
import type { Headers } from '../core/headers.ts'

type Request = IncomingMessage | Http2ServerRequest
type Response = ServerResponse | Http2ServerResponse

const isHttp2 = (response: Response): response is Http2ServerResponse => 'stream' in response

/** A request and its answer, over HTTP/1.1 or HTTP/2. */
export class Exchange {
  readonly http2: boolean
  readonly method: string
  /** Path and query, as sent. */
  readonly target: string
  /** Host that the caller means, with its port if it said one. */
  readonly authority: string
  readonly headers: Headers
  readonly remote: string
  /** It goes on until somebody ends it, and its caller comes back: no stop waits for it. */
  endless = false
  readonly #request: Request
  readonly #response: Response
  #awaitsContinue: boolean
  #answered = false
  #ended = false
  #closed = false
  readonly #onClose: (() => void)[] = []

  constructor(request: Request, response: Response, options: { awaitsContinue?: boolean } = {}) {
    this.#request = request
    this.#response = response
    this.#awaitsContinue = options.awaitsContinue === true
    this.http2 = isHttp2(response)
    this.method = request.method ?? ''
    this.target = request.url ?? ''
    const { headers } = request
    this.headers = headers
    const authority = headers[':authority']
    this.authority = (typeof authority === 'string' ? authority : headers.host) ?? ''
    this.remote = request.socket.remoteAddress ?? ''
    // Errors of a connection that broke: `close` follows.
    request.on('error', ignore)
    response.on('error', ignore)
    response.on('close', () => this.#close())
    // A body that is cut off never ends, and the answer may wait for it.
    request.on('aborted', () => this.#close())
  }

  /** Version of HTTP: `1.0`, `1.1` or `2.0`. */
  get version(): string {
    return this.#request.httpVersion
  }

  /** Header lines as they came, names and values in turn. */
  get lines(): readonly string[] {
    return this.#request.rawHeaders
  }

  /** The body; reading it tells the caller to send it, where it waits for that. */
  get body(): Readable {
    if (this.#awaitsContinue) {
      this.#awaitsContinue = false
      this.#response.writeContinue()
    }
    return this.#request
  }

  /** A body may come. */
  get hasBody(): boolean {
    if (this.http2) {
      const { stream } = this.#request as Http2ServerRequest
      return !stream.endAfterHeaders
    }
    const { headers } = this.#request
    return headers['transfer-encoding'] !== undefined || (this.contentLength ?? 0) > 0
  }

  /** Bytes of the body, where they were said. */
  get contentLength(): number | undefined {
    const text = this.headers['content-length']
    return typeof text === 'string' ? Number(text) : undefined
  }

  /** The head of the answer is out. */
  get answered(): boolean {
    return this.#answered
  }

  /** The caller is gone, or the answer is complete. */
  get closed(): boolean {
    return this.#closed
  }

  /** The answer is complete as far as the gate is concerned. */
  get ended(): boolean {
    return this.#ended
  }

  /** Called once when the caller is gone or has got everything. */
  onClose(listener: () => void): void {
    if (this.#closed) listener()
    else this.#onClose.push(listener)
  }

  onDrain(listener: () => void): void {
    this.#response.on('drain', listener)
  }

  /** Sends the head. `soon`: even though the body may be long in coming. */
  begin(status: number, headers: Record<string, string | string[]>, soon: boolean): void {
    if (this.#answered || this.#closed) return
    this.#answered = true
    if (isHttp2(this.#response)) {
      this.#response.writeHead(status, headers)
      return
    }
    // What is still to come of a body that is not wanted must not pass for the next request.
    if (this.#leftover) this.#response.writeHead(status, { ...headers, connection: 'close' })
    else this.#response.writeHead(status, headers)
    if (soon) this.#response.flushHeaders()
  }

  /** False = wait for `onDrain`. */
  write(piece: Buffer): boolean {
    if (this.#closed || this.#ended) return true
    return isHttp2(this.#response) ? this.#response.write(piece) : this.#response.write(piece)
  }

  end(last?: Buffer | string, trailers?: Readonly<Record<string, string>>): void {
    if (this.#closed || this.#ended) return
    this.#ended = true
    if (trailers !== undefined) this.#response.addTrailers(trailers)
    if (last === undefined) this.#response.end()
    else if (isHttp2(this.#response)) this.#response.end(last)
    else this.#response.end(last)
    // Nobody reads the rest of the body any more.
    if (!this.#request.readableEnded && !this.http2) this.#request.resume()
  }

  /** Ends the connection (the stream, in HTTP/2) so that the caller sees it was not complete. */
  cut(): void {
    if (this.#closed) return
    this.#ended = true
    if (isHttp2(this.#response)) {
      this.#response.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    } else this.#request.socket.destroy()
  }

  get #leftover(): boolean {
    return this.hasBody && !this.#request.complete
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const listener of this.#onClose.splice(0)) listener()
  }
}

const ignore = (): void => undefined
