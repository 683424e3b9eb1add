import { Readable } from 'node:stream'
import { type Dispatcher, errors, Pool } from 'undici'
import type {
  FailureKind,
  Upstream,
  UpstreamCall,
  UpstreamListener,
  UpstreamRequest,
} from './upstream.ts'

/** Longest wait for a connection, ms. */
const CONNECT_MS = 2_000
/** Below the 5 s after which Node servers close what is idle: a request must not meet the close. */
const IDLE_MS = 3_000
const HEAD_MAX_BYTES = 32_768

const NOT_CONNECTED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
])

function codeOf(error: Error): string {
  const code: unknown = Reflect.get(error, 'code')
  return typeof code === 'string' ? code : ''
}

function kindOf(error: Error, sent: boolean): FailureKind {
  const code = codeOf(error)
  if (NOT_CONNECTED.has(code)) return 'UNREACHABLE'
  if (!sent) return 'UNREACHABLE'
  if (error instanceof errors.BodyTimeoutError) return 'SILENT'
  if (error instanceof errors.HTTPParserError || error instanceof errors.HeadersOverflowError) {
    return 'WRONG'
  }
  return code.startsWith('HPE_') || code.startsWith('UND_ERR_RES') ? 'WRONG' : 'BROKEN'
}

/** One request: undici's callbacks, told on. */
class Call implements UpstreamCall, Dispatcher.DispatchHandler {
  readonly #listener: UpstreamListener
  #controller: Dispatcher.DispatchController | undefined
  #over = false
  #cancelled = false

  constructor(listener: UpstreamListener) {
    this.#listener = listener
  }

  resume(): void {
    if (!this.#over) this.#controller?.resume()
  }

  cancel(): void {
    this.#cancelled = true
    if (this.#over) return
    this.#controller?.abort(CANCELLED)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#cancelled) controller.abort(CANCELLED)
  }

  onResponseStart(
    _: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // Interim answers say nothing that a caller was promised.
    if (status >= 200 && !this.#cancelled) this.#listener.head(status, headers)
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void {
    if (!this.#cancelled && !this.#listener.piece(piece)) controller.pause()
  }

  onResponseEnd(_: Dispatcher.DispatchController, trailers: Record<string, unknown>): void {
    this.#over = true
    if (this.#cancelled) return
    const plain = Object.entries(trailers ?? {}).flatMap(([name, value]) =>
      typeof value === 'string' ? [[name, value] as const] : [],
    )
    this.#listener.ended(Object.fromEntries(plain))
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#over) return
    this.#over = true
    if (this.#cancelled) return
    this.#listener.failed(kindOf(error, this.#controller !== undefined), error.message)
  }
}

const CANCELLED = new Error('the caller does not wait any more')

/** undici takes streams; this one asks for nothing until undici does. */
const streamOf = (body: UpstreamRequest['body']): Readable | Buffer | null =>
  body === undefined || Buffer.isBuffer(body)
    ? (body ?? null)
    : Readable.from(body, { objectMode: false })

/** A replica that speaks HTTP/1.1: a connection for each request that runs, kept for the next. */
export function openHttp1(address: string): Upstream {
  const pool = new Pool(`http://${address}`, {
    connections: null,
    pipelining: 1,
    allowH2: false,
    maxHeaderSize: HEAD_MAX_BYTES,
    keepAliveTimeout: IDLE_MS,
    keepAliveMaxTimeout: 60_000,
    keepAliveTimeoutThreshold: 2_000,
    connect: { timeout: CONNECT_MS },
  })
  return {
    send(request: UpstreamRequest, listener: UpstreamListener): UpstreamCall {
      const call = new Call(listener)
      pool.dispatch(
        {
          path: request.target,
          method: request.method,
          headers: request.headers,
          body: streamOf(request.body),
          // Who sends it knows how long an answer may take: its body may be long under way.
          headersTimeout: 0,
          bodyTimeout: request.silenceMs,
        },
        call,
      )
      return call
    },
    close() {
      void pool.close().catch(() => undefined)
    },
  }
}
