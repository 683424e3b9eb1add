import type { JsonObject, Message } from '@bufbuild/protobuf'
import { type HttpRule, readDescriptorSet, readHttpRules } from '@serverless-ai/contracts'
import { type CallOptions, RpcError, type Timers } from '@serverless-ai/kernel'
import { bearerToken, rpcError } from '@serverless-ai/rpc'
import { parsePosition } from '@serverless-ai/runtime'
import { isEncoded, oneOf } from '../core/headers.ts'
import { splitTarget } from '../core/paths.ts'
import { type Buffers, collect } from '../proxy/body.ts'
import { answerError, errorBody } from '../proxy/errors.ts'
import type { Exchange } from '../proxy/exchange.ts'
import type { ApiHandler } from '../proxy/router.ts'
import { answerOf, requestOf } from './codec.ts'
import { RestRoutes } from './match.ts'
import { ownerOf } from './owners.ts'

/** Longest time of a call, ms; streams have none. */
const CALL_MS = 30_000
const BODY_STALL_MS = 20_000
/** A stream that says nothing is kept open with a comment this often, ms. */
const COMMENT_MS = 15_000
/** A caller may take nothing of a stream for so long, ms. */
const STALL_MS = 60_000
/** Callers that lost the connection come back after this time, ms. */
const RETRY_MS = 1_000

/** Field of a stream's message with its place, and the request's field that goes on behind it. */
const POSITION = 'position'
const RESUME = 'resume_after'

/** Calls a method of the control plane in the name of a caller. */
export interface CallAs {
  unary(about: CallAbout, message: Message, options: CallOptions): Promise<Message>
  stream(about: CallAbout, message: Message, options: CallOptions): AsyncIterable<Message>
}

/** What is called, and as whom. */
export interface CallAbout {
  readonly rule: HttpRule
  /** Value of the path field `service`, where there is one. */
  readonly service: string | undefined
  readonly token: string | undefined
}

/** The API of the control plane by HTTP and JSON: what the protos say with `google.api.http`. */
export class RestApi implements ApiHandler {
  readonly #routes: RestRoutes
  readonly #registry
  readonly #callAs: CallAs
  readonly #timers: Timers
  readonly #buffers: Buffers
  readonly #bodyMaxBytes: number

  constructor(init: { callAs: CallAs; timers: Timers; buffers: Buffers; bodyMaxBytes: number }) {
    const { rules, registry } = readHttpRules(readDescriptorSet())
    this.#routes = new RestRoutes(rules)
    this.#registry = registry
    this.#callAs = init.callAs
    this.#timers = init.timers
    this.#buffers = init.buffers
    this.#bodyMaxBytes = init.bodyMaxBytes
  }

  handle(exchange: Exchange, requestId: string): boolean {
    const { path, query } = splitTarget(exchange.target)
    const match = this.#routes.match(exchange.method, path)
    if (match.at === 'None') return false
    if (match.at === 'OtherMethod') {
      const allow = match.allow.join(', ')
      const error = rpcError('METHOD_NOT_ALLOWED', { metadata: { allow } })
      answerError(exchange, error, 'google', { allow, 'x-request-id': requestId })
      return true
    }
    const from = { path: match.path, query: new URLSearchParams(query) }
    this.#call(exchange, match.rule, from, requestId).catch((error: unknown) => {
      const known = error instanceof RpcError ? error : rpcError('INTERNAL')
      if (exchange.answered) endStream(exchange, known)
      else answerError(exchange, known, 'google', { 'x-request-id': requestId })
    })
    return true
  }

  async #call(
    exchange: Exchange,
    rule: HttpRule,
    from: { path: Readonly<Record<string, string>>; query: URLSearchParams },
    requestId: string,
  ): Promise<void> {
    const left = new AbortController()
    exchange.onClose(() => left.abort(rpcError('CANCELLED')))
    const { bytes, release } = await this.#body(exchange)
    try {
      const request = requestOf(rule, this.#registry, { ...from, body: bytes })
      const header = oneOf(exchange.headers['authorization']) ?? ''
      const token = bearerToken(new Map([['authorization', header]]))
      const about = { rule, service: from.path['service'], token }
      const { signal } = left
      if (rule.method.methodKind === 'server_streaming') {
        await this.#stream(exchange, { about, request, requestId, signal })
        return
      }
      const message = await this.#callAs.unary(about, request, { signal, timeoutMs: CALL_MS })
      const answer = answerOf(rule.method, this.#registry, message)
      const body = JSON.stringify(answer)
      exchange.begin(
        200,
        {
          'content-type': 'application/json',
          'content-length': String(Buffer.byteLength(body)),
          'cache-control': 'no-store',
          'x-request-id': requestId,
        },
        false,
      )
      exchange.end(exchange.method === 'HEAD' ? undefined : body)
    } finally {
      release()
    }
  }

  #body(exchange: Exchange): ReturnType<typeof collect> {
    if (!exchange.hasBody) {
      return Promise.resolve({ bytes: Buffer.alloc(0), release: () => undefined })
    }
    if (isEncoded(exchange.headers)) return Promise.reject(rpcError('ENCODING_NOT_SUPPORTED'))
    const { timers, buffers } = { timers: this.#timers, buffers: this.#buffers }
    const maxBytes = this.#bodyMaxBytes
    return collect(exchange.body, { maxBytes, stallMs: BODY_STALL_MS, timers, buffers })
  }

  /** Server-sent events; `id` is the position, and a caller goes on behind its `Last-Event-ID`. */
  async #stream(
    exchange: Exchange,
    init: {
      about: CallAbout
      request: Message
      requestId: string
      signal: AbortSignal
    },
  ): Promise<void> {
    const { about, request, requestId, signal } = init
    const { rule } = about
    exchange.endless = true
    resumeAt(about, request, oneOf(exchange.headers['last-event-id']))
    const drain = new Drain(exchange, this.#timers)
    const open = (): void =>
      exchange.begin(
        200,
        {
          'content-type': 'text/event-stream',
          'cache-control': 'no-store',
          'x-accel-buffering': 'no',
          'x-request-id': requestId,
        },
        true,
      )
    const comments = new Comments(exchange, this.#timers)
    try {
      for await (const message of this.#callAs.stream(about, request, { signal })) {
        if (!exchange.answered) {
          open()
          exchange.write(Buffer.from(`retry: ${RETRY_MS}\n\n`))
        }
        comments.later()
        const json = answerOf(rule.method, this.#registry, message)
        if (!exchange.write(Buffer.from(eventOf(json)))) await drain.wait()
        if (exchange.closed) return
      }
    } finally {
      comments.stop()
    }
    // Nothing more to come: 204 tells an EventSource not to come back.
    if (!exchange.answered) exchange.begin(204, { 'x-request-id': requestId }, false)
    exchange.end()
  }
}

/** A message as an event; one that carries nothing but its place is a heartbeat. */
function eventOf(json: JsonObject): string {
  const { [POSITION]: position, ...rest } = json
  const id = typeof position === 'string' && position !== '' ? `id: ${position}\n` : ''
  const empty = Object.values(rest).every((value) => Array.isArray(value) && value.length === 0)
  const name = empty ? 'event: heartbeat\n' : ''
  return `${id}${name}data: ${JSON.stringify(json)}\n\n`
}

/**
 * Goes on behind the event that the caller has seen.
 * @throws `POSITION_INVALID`: no event of this stream has had that id
 */
function resumeAt({ rule, service }: CallAbout, request: Message, last: string | undefined): void {
  // A browser that has seen none says none, or nothing.
  if (last === undefined || last === '') return
  const field = rule.method.input.fields.find(({ name }) => name === RESUME)
  const from = field === undefined ? undefined : sourceOf(last)
  if (field === undefined || from === undefined || from !== ownerOf(rule, service)) {
    const description =
      field === undefined ? 'events of this stream have no ids' : 'no event of this stream had it'
    const violations = [{ field: 'Last-Event-ID', description }]
    const message = `POSITION_INVALID: Last-Event-ID: ${description}`
    throw rpcError('POSITION_INVALID', { message, violations })
  }
  Reflect.set(request, field.localName, last)
}

/** The service that gave a position out; undefined = none did. */
function sourceOf(position: string): string | undefined {
  try {
    return parsePosition(position).service
  } catch (error) {
    if (error instanceof RpcError) return undefined
    throw error
  }
}

function endStream(exchange: Exchange, error: RpcError): void {
  exchange.end(`event: error\ndata: ${errorBody(error, 'google')}\n\n`)
}

/** Waits until a caller takes more; one that does not for too long is cut. */
class Drain {
  readonly #exchange: Exchange
  readonly #timers: Timers
  #wake: (() => void) | undefined

  constructor(exchange: Exchange, timers: Timers) {
    this.#exchange = exchange
    this.#timers = timers
    const wake = (): void => this.#wake?.()
    exchange.onDrain(wake)
    exchange.onClose(wake)
  }

  wait(): Promise<void> {
    if (this.#exchange.closed) return Promise.resolve()
    return new Promise((resolve) => {
      const late = this.#timers.after(STALL_MS, () => this.#exchange.cut())
      this.#wake = () => {
        late.cancel()
        this.#wake = undefined
        resolve()
      }
    })
  }
}

/** Keeps a silent stream open. */
class Comments {
  readonly #exchange: Exchange
  readonly #timers: Timers
  #timer: ReturnType<Timers['after']> | undefined

  constructor(exchange: Exchange, timers: Timers) {
    this.#exchange = exchange
    this.#timers = timers
  }

  /** Something was sent. */
  later(): void {
    this.#timer?.cancel()
    this.#timer = this.#timers.after(COMMENT_MS, () => {
      this.#exchange.write(Buffer.from(': still here\n\n'))
      this.later()
    })
  }

  stop(): void {
    this.#timer?.cancel()
  }
}
