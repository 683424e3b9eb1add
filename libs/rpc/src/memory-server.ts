import type { CallContext, HandlersOf, TransportServer } from '@serverless-ai/kernel'
import { admit } from './auth.ts'
import { Inbox, Outbox } from './channel.ts'
import { Decoded } from './decoded.ts'
import { rpcError } from './error-table.ts'
import { CallScope, contextOf, pump, toRpcError } from './scope.ts'
import { requireAccessRow, requireLoopback, type ServerRules } from './server-options.ts'
import { type AnyHandler, type AnyMethod, handlersOf, isAsyncIterable } from './shape.ts'
import { encodeStatus, plainError } from './status.ts'

const FIRST_PORT = 20_000

/** What a caller says before its messages. */
export interface CallHeader {
  readonly path: string
  readonly metadata: ReadonlyMap<string, string>
  readonly timeoutMs: number | undefined
}

/** Where the answers of a call go. */
export interface Answers {
  message(bytes: Uint8Array): void
  /** The last message, if there is one, and the status: undefined = fine. */
  end(message: Uint8Array | undefined, status: Uint8Array | undefined): void
  credit(messages: number): void
}

/** What reaches the server during a call. */
export interface ServerEnd {
  request(bytes: Uint8Array): void
  requestsEnd(): void
  credit(messages: number): void
  /** The caller is gone. */
  cancel(): void
}

type Entry = { readonly method: AnyMethod; readonly handler: AnyHandler }

/** A server of a memory network. */
export class MemoryServer implements TransportServer {
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

  /** As a crash of its process: the address is free at once, nothing ends, nobody is told. */
  vanish(): void {
    const address = this.#address
    if (address !== undefined && this.#servers.get(address) === this) this.#servers.delete(address)
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
    this.vanish()
  }

  /** Serves a call with one request, which came with it. */
  unary(header: CallHeader, bytes: Uint8Array, answers: Answers): ServerEnd {
    const scope = new CallScope()
    void this.#guard(header, scope, answers, async () => {
      const entry = this.#entry(header)
      const context = this.#begin(entry, header, scope)
      const { method, handler } = entry
      const output = handler(method.requestDeserialize(bytes), context)
      return method.responseSerialize(await scope.race(Promise.resolve(output)))
    })
    return {
      request: () => undefined,
      requestsEnd: () => undefined,
      credit: () => undefined,
      cancel: () => scope.abort(rpcError('CANCELLED')),
    }
  }

  /** Serves a call whose messages come one by one. */
  stream(header: CallHeader, answers: Answers): ServerEnd {
    const scope = new CallScope()
    const requests = new Inbox((messages) => answers.credit(messages))
    const outbox = new Outbox(scope, (bytes) => answers.message(bytes))
    // The handler sees the end of its requests as an error when the caller is gone.
    scope.signal.addEventListener('abort', () => requests.end(scope.error), { once: true })
    void this.#guard(header, scope, answers, async () => {
      const entry = this.#entry(header)
      const context = this.#begin(entry, header, scope)
      const { method, handler } = entry
      const input = method.requestStream
        ? new Decoded(requests, (bytes) => method.requestDeserialize(bytes))
        : await firstOf(requests, method, scope)
      const output = handler(input, context)
      if (!method.responseStream) {
        return method.responseSerialize(await scope.race(Promise.resolve(output)))
      }
      if (!isAsyncIterable(output)) throw new TypeError(`${method.path} returns no stream`)
      await pump(output, scope, (item) => outbox.push(method.responseSerialize(item)))
      return undefined
    })
    return {
      request: (bytes) => requests.push(bytes),
      requestsEnd: () => requests.end(),
      credit: (messages) => outbox.credit(messages),
      cancel: () => scope.abort(rpcError('CANCELLED')),
    }
  }

  /** Runs a call to its end and says how it ended. */
  async #guard(
    { path }: CallHeader,
    scope: CallScope,
    answers: Answers,
    run: () => Promise<Uint8Array | undefined>,
  ): Promise<void> {
    try {
      answers.end(await run(), undefined)
    } catch (thrown) {
      // Through the same bytes as on a real wire, so that nothing survives here that would not
      // there.
      const error = toRpcError(thrown, scope, { logger: this.#rules.logger, path })
      answers.end(undefined, encodeStatus(error))
    } finally {
      scope.dispose()
      this.#open.delete(scope)
      if (this.#open.size === 0) for (const idle of this.#idle) idle()
    }
  }

  #entry({ path }: CallHeader): Entry {
    const entry = this.#methods.get(path)
    if (entry === undefined) throw plainError('UNIMPLEMENTED', `${path} is not served here`)
    return entry
  }

  /** Admits the call and starts its clock; throws what the caller is to be told. */
  #begin({ method }: Entry, header: CallHeader, scope: CallScope): CallContext {
    const principal = admit(method.path, header.metadata, this.#rules)
    if (this.stopping.aborted) throw rpcError('SERVER_STOPPING')
    const streaming = method.requestStream || method.responseStream
    const most = streaming ? Number.POSITIVE_INFINITY : this.#rules.unaryTimeoutMs
    const timeoutMs = Math.min(header.timeoutMs ?? Number.POSITIVE_INFINITY, most)
    const bounded = Number.isFinite(timeoutMs)
    this.#open.set(scope, { streaming })
    if (bounded) scope.expireAfter(this.#rules.timers, timeoutMs)
    return contextOf(scope, principal, header.metadata, bounded ? timeoutMs : undefined)
  }
}

async function firstOf(requests: Inbox, method: AnyMethod, scope: CallScope): Promise<unknown> {
  const first = await scope.race(requests.next())
  if (first.done) throw plainError('INTERNAL', 'the caller sent no request')
  return method.requestDeserialize(first.value)
}
