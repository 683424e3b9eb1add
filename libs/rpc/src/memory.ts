import {
  type CallContext,
  type CallOptions,
  type ClientOf,
  type HandlersOf,
  type Timers,
  type Transport,
  type TransportServer,
} from '@serverless-ai/kernel'
import { admit } from './auth.ts'
import { BoundedPipe } from './channel.ts'
import { rpcError } from './error-table.ts'
import { CallScope, contextOf, pump, toRpcError } from './scope.ts'
import {
  type RpcServerOptions,
  requireAccessRow,
  requireLoopback,
  type ServerRules,
  UNARY_TIMEOUT_MS,
  withDefaults,
} from './server-options.ts'
import {
  type AnyHandler,
  type AnyMethod,
  clientFrom,
  handlersOf,
  isAsyncIterable,
} from './shape.ts'
import { decodeStatus, encodeStatus, plainError } from './status.ts'

const PIPE_MESSAGES = 16
const FIRST_PORT = 20_000

/** One call on its way: requests as bytes, answers as bytes. */
type Call = {
  readonly metadata: ReadonlyMap<string, string>
  readonly timeoutMs: number | undefined
  readonly requests: BoundedPipe<Uint8Array>
  readonly answers: BoundedPipe<Uint8Array>
  readonly scope: CallScope
}

type Entry = { readonly method: AnyMethod; readonly handler: AnyHandler }

/** A network inside the process: messages are encoded and decoded, errors travel as statuses. */
export interface MemoryNetwork {
  transport(): Transport
  server(options: RpcServerOptions): TransportServer
}

class MemoryServer implements TransportServer {
  readonly #rules: ServerRules
  readonly #servers: Map<string, MemoryServer>
  readonly #methods = new Map<string, Entry>()
  readonly #stopping = new AbortController()
  readonly #open = new Map<CallScope, { readonly streaming: boolean }>()
  readonly #idle = new Set<() => void>()
  #address: string | undefined

  constructor(rules: ServerRules, servers: Map<string, MemoryServer>) {
    this.#rules = rules
    this.#servers = servers
  }

  get stopping(): AbortSignal {
    return this.#stopping.signal
  }

  add<S>(service: S, handlers: HandlersOf<S>): void {
    for (const entry of handlersOf(service, handlers)) {
      const { path } = entry.method
      requireAccessRow(this.#rules.access, path)
      if (this.#methods.has(path)) throw new TypeError(`${path} was added before`)
      this.#methods.set(path, entry)
    }
  }

  async listen(address: string): Promise<string> {
    requireLoopback(address, this.#rules.insecureDev)
    let bound = address
    for (let port = FIRST_PORT; /:0$/.test(address) && port <= 65_535; port += 1) {
      bound = address.replace(/:0$/, `:${port}`)
      if (!this.#servers.has(bound)) break
    }
    if (this.#servers.has(bound)) {
      throw plainError('UNAVAILABLE', `cannot listen on ${address}: the address is in use`)
    }
    this.#servers.set(bound, this)
    this.#address = bound
    return bound
  }

  async close(graceMs: number): Promise<void> {
    if (this.#stopping.signal.aborted) return
    const stopping = rpcError('SERVER_STOPPING')
    this.#stopping.abort(stopping)
    for (const [scope, { streaming }] of this.#open) if (streaming) scope.abort(stopping)
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = this.#rules.timers.after(graceMs, resolve)
    this.#idle.add(resolve)
    if (this.#open.size === 0) resolve()
    await promise
    timer.cancel()
    for (const scope of this.#open.keys()) scope.abort(stopping)
    if (this.#address !== undefined) this.#servers.delete(this.#address)
  }

  /** Serves a call to its end; the answers' pipe tells the caller how it ended. */
  async serve(path: string, call: Call): Promise<void> {
    const { scope } = call
    try {
      const entry = this.#methods.get(path)
      if (entry === undefined) throw plainError('UNIMPLEMENTED', `${path} is not served here`)
      const context = this.#begin(entry, call)
      await this.#run(entry, call, context)
      call.answers.end()
    } catch (thrown) {
      const error = toRpcError(thrown, scope, { logger: this.#rules.logger, path })
      // Through the same bytes as on a real wire, so that nothing survives here that would not
      // there.
      call.answers.end(decodeStatus(encodeStatus(error)))
    } finally {
      scope.dispose()
      this.#open.delete(scope)
      if (this.#open.size === 0) for (const idle of this.#idle) idle()
    }
  }

  #begin({ method }: Entry, call: Call): CallContext {
    const principal = admit(method.path, call.metadata, this.#rules)
    if (this.stopping.aborted) throw rpcError('SERVER_STOPPING')
    const streaming = method.requestStream || method.responseStream
    const most = streaming ? Number.POSITIVE_INFINITY : this.#rules.unaryTimeoutMs
    const timeoutMs = Math.min(call.timeoutMs ?? Number.POSITIVE_INFINITY, most)
    const bounded = Number.isFinite(timeoutMs)
    this.#open.set(call.scope, { streaming })
    if (bounded) call.scope.expireAfter(this.#rules.timers, timeoutMs)
    return contextOf(call.scope, principal, call.metadata, bounded ? timeoutMs : undefined)
  }

  async #run({ method, handler }: Entry, call: Call, context: CallContext): Promise<void> {
    const { scope } = call
    const decoded = decodeAll(call.requests, method)
    const input = method.requestStream ? decoded : await firstOf(call.requests, method, scope)
    const output = handler(input, context)
    if (!method.responseStream) {
      const answer = await scope.race(Promise.resolve(output))
      call.answers.push(method.responseSerialize(answer))
      return
    }
    if (!isAsyncIterable(output)) throw new TypeError(`${method.path} returns no stream`)
    await pump(output, scope, (item) => call.answers.push(method.responseSerialize(item)))
  }
}

async function* decodeAll(
  requests: AsyncIterable<Uint8Array>,
  method: AnyMethod,
): AsyncGenerator<unknown> {
  for await (const bytes of requests) yield method.requestDeserialize(bytes)
}

async function firstOf(
  requests: BoundedPipe<Uint8Array>,
  method: AnyMethod,
  scope: CallScope,
): Promise<unknown> {
  const first = await scope.race(requests.next())
  if (first.done) throw plainError('INTERNAL', 'the caller sent no request')
  return method.requestDeserialize(first.value)
}

class MemoryTransport implements Transport {
  readonly #servers: Map<string, MemoryServer>
  readonly #timers: Timers
  readonly #open = new Set<CallScope>()

  constructor(servers: Map<string, MemoryServer>, timers: Timers) {
    this.#servers = servers
    this.#timers = timers
  }

  client<S>(service: S, target: { address: string; token?: string }): ClientOf<S> {
    return clientFrom(service, (method) => this.#caller(method, target))
  }

  async close(): Promise<void> {
    for (const scope of this.#open) scope.abort(rpcError('CANCELLED'))
  }

  #caller(method: AnyMethod, target: { address: string; token?: string }): unknown {
    const open = (input: unknown, options: CallOptions) =>
      this.#answers(method, target, toIterable(input, method), options)
    if (method.responseStream) {
      return (input: unknown, options: CallOptions = {}) => open(input, options)
    }
    const defaultMs = method.requestStream ? undefined : UNARY_TIMEOUT_MS
    return async (input: unknown, options: CallOptions = {}) => {
      const timeoutMs = options.timeoutMs ?? defaultMs
      const bounded = timeoutMs === undefined ? options : { ...options, timeoutMs }
      for await (const answer of open(input, bounded)) return answer
      throw plainError('INTERNAL', `${method.path} gave no answer`)
    }
  }

  async *#answers(
    method: AnyMethod,
    target: { address: string; token?: string },
    requests: AsyncIterable<unknown>,
    options: CallOptions,
  ): AsyncGenerator<unknown> {
    if (options.signal?.aborted) throw rpcError('CANCELLED')
    // A message takes at least one turn, as on a wire.
    await this.#timers.yieldTurn()
    const server = this.#servers.get(target.address)
    if (server === undefined) throw plainError('UNAVAILABLE', `nobody serves ${target.address}`)
    const scope = new CallScope()
    const cancel = () => scope.abort(rpcError('CANCELLED'))
    const call = this.#openCall(scope, cancel, target.token, options)
    let broken: { readonly error: unknown } | undefined
    pump(requests, scope, (item) => call.requests.push(method.requestSerialize(item)))
      .then(() => call.requests.end())
      .catch((error: unknown) => {
        if (scope.error === undefined) broken = { error }
        cancel()
      })
    options.signal?.addEventListener('abort', cancel, { once: true })
    void server.serve(method.path, call)
    try {
      for await (const bytes of call.answers) yield method.responseDeserialize(bytes)
    } catch (error) {
      throw broken === undefined ? error : broken.error
    } finally {
      options.signal?.removeEventListener('abort', cancel)
      this.#open.delete(scope)
      cancel()
    }
  }

  #openCall(
    scope: CallScope,
    cancel: () => void,
    token: string | undefined,
    options: CallOptions,
  ): Call {
    this.#open.add(scope)
    const metadata = new Map<string, string>()
    for (const [key, value] of Object.entries(options.metadata ?? {})) {
      metadata.set(key.toLowerCase(), value)
    }
    if (token !== undefined) metadata.set('authorization', `Bearer ${token}`)
    const requests = new BoundedPipe<Uint8Array>(PIPE_MESSAGES, scope, () => undefined)
    const answers = new BoundedPipe<Uint8Array>(PIPE_MESSAGES, scope, cancel)
    // The handler sees the end of its requests as an error when the caller is gone.
    scope.signal.addEventListener('abort', () => requests.end(scope.error), { once: true })
    return { metadata, timeoutMs: options.timeoutMs, requests, answers, scope }
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

/**
 * A network of its own for tests and simulations, with the semantics of the gRPC transport:
 * authentication, deadlines, cancellation, bounded streams, statuses.
 */
export function memoryNetwork(options: { readonly timers: Timers }): MemoryNetwork {
  const servers = new Map<string, MemoryServer>()
  return {
    transport: () => new MemoryTransport(servers, options.timers),
    server: (server) => new MemoryServer(withDefaults(server), servers),
  }
}
