import type {
  CallOptions,
  ClientOf,
  RpcError,
  Timer,
  Timers,
  Transport,
} from '@serverless-ai/kernel'
import { Inbox, Outbox } from './channel.ts'
import { rpcError } from './error-table.ts'
import { DIRECT, type Link, type LinkedCall, type Wire } from './memory-link.ts'
import type { Answers, CallHeader, MemoryServer, ServerEnd } from './memory-server.ts'
import { CallScope, pump } from './scope.ts'
import { UNARY_TIMEOUT_MS } from './server-options.ts'
import { type AnyMethod, clientFrom, isAsyncIterable } from './shape.ts'
import { decodeStatus, plainError } from './status.ts'

type Target = { readonly address: string; readonly token?: string }

/** What a call needs of its transport. */
interface Caller {
  readonly servers: ReadonlyMap<string, MemoryServer>
  readonly timers: Timers
  readonly link: Link
  /** Calls that run, each with what cancels it. */
  readonly open: Set<() => void>
}

const lost = (address: string) => plainError('UNAVAILABLE', `the connection to ${address} was lost`)
const refused = (address: string) =>
  rpcError('NOT_CONNECTED', { message: `NOT_CONNECTED: nobody serves ${address}` })

function headerOf(path: string, token: string | undefined, options: CallOptions): CallHeader {
  const metadata = new Map<string, string>()
  if (options.metadata !== undefined) {
    for (const [key, value] of Object.entries(options.metadata)) {
      metadata.set(key.toLowerCase(), value)
    }
  }
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`)
  return { path, metadata, timeoutMs: options.timeoutMs }
}

/** What both kinds of calls have in common: two ends and the wire between them. */
abstract class MemoryCall implements LinkedCall, Answers {
  abstract readonly unary: boolean
  readonly address: string
  readonly path: string
  protected readonly caller: Caller
  protected readonly header: CallHeader
  readonly #signal: AbortSignal | undefined
  /** More than one where a request arrived twice. */
  readonly #servers: ServerEnd[] = []
  #wire: Wire | undefined
  #timer: Timer | undefined
  #over = false

  constructor(caller: Caller, method: AnyMethod, target: Target, options: CallOptions) {
    this.caller = caller
    this.address = target.address
    this.path = method.path
    this.header = headerOf(method.path, target.token, options)
    this.#signal = options.signal
  }

  /** Called with what the caller is to be told, once. */
  protected abstract settle(failure: RpcError | undefined, message?: Uint8Array): void
  protected abstract serve(server: MemoryServer): ServerEnd

  get over(): boolean {
    return this.#over
  }

  readonly cancel = (): void => this.#abandon(rpcError('CANCELLED'))

  /** Ties the call to its signal and its deadline. */
  protected begin(): void {
    const { timers, open } = this.caller
    open.add(this.cancel)
    this.#signal?.addEventListener('abort', this.cancel, { once: true })
    const { timeoutMs } = this.header
    if (timeoutMs === undefined) return
    const expire = () => this.#abandon(rpcError('DEADLINE_EXCEEDED'))
    this.#timer = timers.after(timeoutMs, expire)
  }

  /** Sends the first message; where nobody listens that is all. */
  protected connect(bytes: number): void {
    const wire = this.caller.link.open(this)
    this.#wire = wire
    wire.toServer(bytes, () => {
      const server = this.caller.servers.get(this.address)
      if (server !== undefined) {
        this.#servers.push(this.serve(server))
        return
      }
      wire.toCaller(0, () => this.finish(refused(this.address)))
      wire.leave('server')
    })
  }

  /** Sends to the server's end, if there is a connection. */
  protected send(bytes: number, deliver: (server: ServerEnd) => void): void {
    this.#wire?.toServer(bytes, () => {
      for (const server of this.#servers) deliver(server)
    })
  }

  /** The caller waits no longer: the server is told. */
  #abandon(error: RpcError): void {
    if (this.#over) return
    this.send(0, (server) => server.cancel())
    this.finish(error)
  }

  protected finish(failure: RpcError | undefined, message?: Uint8Array): void {
    if (this.#over) return
    this.#over = true
    this.#timer?.cancel()
    this.#signal?.removeEventListener('abort', this.cancel)
    this.caller.open.delete(this.cancel)
    this.#wire?.leave('caller')
    this.settle(failure, message)
  }

  failCaller(): void {
    this.finish(lost(this.address))
  }

  failServer(): void {
    for (const server of this.#servers) server.cancel()
  }

  message(bytes: Uint8Array): void {
    this.#wire?.toCaller(bytes.byteLength, () => this.received(bytes))
  }

  end(message: Uint8Array | undefined, status: Uint8Array | undefined): void {
    const bytes = message?.byteLength ?? status?.byteLength ?? 0
    this.#wire?.toCaller(bytes, () => {
      this.finish(status === undefined ? undefined : decodeStatus(status), message)
    })
    this.#wire?.leave('server')
  }

  credit(messages: number): void {
    this.#wire?.toCaller(0, () => this.credited(messages))
  }

  protected received(_bytes: Uint8Array): void {}
  protected credited(_messages: number): void {}
}

/** One request, one answer. */
class UnaryCall extends MemoryCall {
  readonly unary = true
  readonly #request: Uint8Array
  readonly #method: AnyMethod
  readonly #resolve: (answer: unknown) => void
  readonly #reject: (error: unknown) => void

  constructor(
    caller: Caller,
    call: { method: AnyMethod; target: Target; input: unknown; options: CallOptions },
    settle: { resolve: (answer: unknown) => void; reject: (error: unknown) => void },
  ) {
    super(caller, call.method, call.target, call.options)
    this.#method = call.method
    this.#request = call.method.requestSerialize(call.input)
    this.#resolve = settle.resolve
    this.#reject = settle.reject
    this.begin()
    const start = () => {
      if (!this.over) this.connect(this.#request.byteLength)
    }
    // Without a link a message takes at least one turn, as on a wire.
    if (caller.link !== DIRECT) start()
    else caller.timers.yieldTurn().then(start, settle.reject)
  }

  protected serve(server: MemoryServer): ServerEnd {
    return server.unary(this.header, this.#request, this)
  }

  protected settle(failure: RpcError | undefined, message: Uint8Array | undefined): void {
    if (failure !== undefined) this.#reject(failure)
    else if (message === undefined) {
      this.#reject(plainError('INTERNAL', `${this.path} gave no answer`))
    } else {
      try {
        this.#resolve(this.#method.responseDeserialize(message))
      } catch (error) {
        this.#reject(error)
      }
    }
  }
}

/** Requests, answers, or both come one by one. */
class StreamCall extends MemoryCall {
  readonly unary = false
  readonly #scope = new CallScope()
  readonly answers: Inbox
  readonly #requests: Outbox
  /** What the caller's own iterator of requests threw. */
  broken: { readonly error: unknown } | undefined

  constructor(caller: Caller, method: AnyMethod, target: Target, options: CallOptions) {
    super(caller, method, target, options)
    this.answers = new Inbox((messages) => this.send(0, (server) => server.credit(messages)))
    this.#requests = new Outbox(this.#scope, (bytes) =>
      this.send(bytes.byteLength, (server) => server.request(bytes)),
    )
    this.begin()
  }

  start(method: AnyMethod, requests: AsyncIterable<unknown>): void {
    if (this.over) return
    this.connect(0)
    pump(requests, this.#scope, (item) => this.#requests.push(method.requestSerialize(item)))
      .then(() => this.send(0, (server) => server.requestsEnd()))
      .catch((error: unknown) => {
        if (this.#scope.error === undefined) this.broken = { error }
        this.cancel()
      })
  }

  protected serve(server: MemoryServer): ServerEnd {
    return server.stream(this.header, this)
  }

  protected settle(failure: RpcError | undefined, message: Uint8Array | undefined): void {
    if (message !== undefined) this.answers.push(message)
    this.answers.end(failure)
    this.#scope.abort(failure ?? rpcError('CANCELLED'))
    this.#scope.dispose()
  }

  protected override received(bytes: Uint8Array): void {
    this.answers.push(bytes)
  }

  protected override credited(messages: number): void {
    this.#requests.credit(messages)
  }
}

/** The outgoing side of a memory network. */
export class MemoryTransport implements Transport {
  readonly #caller: Caller

  constructor(servers: ReadonlyMap<string, MemoryServer>, timers: Timers, link: Link) {
    this.#caller = { servers, timers, link, open: new Set() }
  }

  client<S>(service: S, target: Target): ClientOf<S> {
    return clientFrom(service, (method) => this.#bind(method, target))
  }

  async close(): Promise<void> {
    for (const cancel of [...this.#caller.open]) cancel()
  }

  /** The function that a typed client offers for the method. */
  #bind(method: AnyMethod, target: Target): unknown {
    if (method.responseStream) {
      return (input: unknown, options: CallOptions = {}) =>
        this.#stream(method, target, input, options)
    }
    if (method.requestStream) {
      return async (input: unknown, options: CallOptions = {}) => {
        for await (const answer of this.#stream(method, target, input, options)) return answer
        throw plainError('INTERNAL', `${method.path} gave no answer`)
      }
    }
    return (input: unknown, options: CallOptions = {}) =>
      new Promise((resolve, reject) => {
        if (options.signal?.aborted) throw rpcError('CANCELLED')
        const bounded =
          options.timeoutMs === undefined ? { ...options, timeoutMs: UNARY_TIMEOUT_MS } : options
        const call = { method, target, input, options: bounded }
        new UnaryCall(this.#caller, call, { resolve, reject })
      })
  }

  async *#stream(
    method: AnyMethod,
    target: Target,
    input: unknown,
    options: CallOptions,
  ): AsyncGenerator<unknown> {
    if (options.signal?.aborted) throw rpcError('CANCELLED')
    const requests = toIterable(input, method)
    const call = new StreamCall(this.#caller, method, target, options)
    try {
      if (this.#caller.link === DIRECT) await this.#caller.timers.yieldTurn()
      call.start(method, requests)
      for await (const bytes of call.answers) yield method.responseDeserialize(bytes)
    } catch (error) {
      throw call.broken === undefined ? error : call.broken.error
    } finally {
      call.cancel()
    }
  }
}

async function* one(value: unknown): AsyncGenerator<unknown> {
  yield value
}

function toIterable(input: unknown, method: AnyMethod): AsyncIterable<unknown> {
  if (!method.requestStream) return one(input)
  if (!isAsyncIterable(input)) throw new TypeError(`${method.path} takes a stream`)
  return input
}
