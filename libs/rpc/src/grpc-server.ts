import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  logVerbosity,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  setLogVerbosity,
} from '@grpc/grpc-js'
import type {
  CallContext,
  HandlersOf,
  RpcError,
  Timer,
  TransportServer,
} from '@serverless-ai/kernel'
import { admit } from './auth.ts'
import { beginServed, parentOf, type ToldCall } from './call-telemetry.ts'
import { SERVER_OPTIONS } from './channel-options.ts'
import { CODE_NUMBERS } from './codes.ts'
import { rpcError } from './error-table.ts'
import { messagesOf, writerTo } from './reader.ts'
import type { ListsServices } from './reflection.ts'
import { CallScope, contextOf, pump, toRpcError } from './scope.ts'
import {
  type RpcServerOptions,
  requireAccessRow,
  requireLoopback,
  type ServerRules,
  withDefaults,
} from './server-options.ts'
import {
  type AnyHandler,
  type AnyMethod,
  handlersOf,
  isAsyncIterable,
  serviceNamesOf,
} from './shape.ts'
import { encodeStatus, plainError } from './status.ts'
import {
  type CertifiedCaller,
  certifiedCaller,
  RotatingServerCredentials,
  type ServerTls,
} from './tls.ts'

type Reading = ServerReadableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>
type Writing = ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>
type AnyCall = ServerUnaryCall<unknown, unknown> | Reading | Writing
type Runner =
  | handleUnaryCall<unknown, unknown>
  | handleClientStreamingCall<unknown, unknown>
  | handleServerStreamingCall<unknown, unknown>
  | handleBidiStreamingCall<unknown, unknown>

/** The one event that all kinds of calls share. */
type Cancellable = { on(event: 'cancelled', listener: () => void): unknown }

type Entry = { readonly method: AnyMethod; readonly handler: AnyHandler }

/** The plain message is percent-encoded into a trailer; the full one is in the details. */
const DETAILS_MAX_CHARS = 512

const toBuffer = (bytes: Uint8Array) =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

function metadataOf(metadata: Metadata): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const [key, value] of Object.entries(metadata.getMap())) {
    if (typeof value === 'string') found.set(key, value)
  }
  return found
}

/** The error as grpc-js wants it. */
function statusOf(error: RpcError) {
  const metadata = new Metadata()
  metadata.set('grpc-status-details-bin', toBuffer(encodeStatus(error)))
  return Object.assign(new Error(error.message), {
    code: CODE_NUMBERS[error.code],
    details: error.message.slice(0, DETAILS_MAX_CHARS),
    metadata,
  })
}

/** A call that is running. */
type Open = { readonly streaming: boolean; readonly certificateEnd: Timer | undefined }

/** Options of a gRPC server. */
export interface GrpcServerOptions extends RpcServerOptions {
  /** Mutual TLS. Default: none, and only loopback addresses. */
  readonly tls?: ServerTls
}

/** gRPC over HTTP/2. See {@link createGrpcServer}. */
class GrpcServer implements TransportServer, ListsServices {
  readonly #services = new Set<string>()
  readonly #server = new Server(SERVER_OPTIONS)
  readonly #rules: ServerRules
  readonly #stopping = new AbortController()
  readonly #open = new Map<CallScope, Open>()
  readonly #tls: ServerTls | undefined
  readonly #credentials: RotatingServerCredentials | undefined

  constructor(rules: ServerRules, tls: ServerTls | undefined) {
    this.#rules = rules
    this.#tls = tls
    this.#credentials = tls === undefined ? undefined : new RotatingServerCredentials(tls)
  }

  get stopping(): AbortSignal {
    return this.#stopping.signal
  }

  add<S>(service: S, handlers: HandlersOf<S>): void {
    for (const entry of handlersOf(service, handlers)) {
      requireAccessRow(this.#rules.access, entry.method.path)
      if (!this.#register(entry)) throw new TypeError(`${entry.method.path} was added before`)
    }
    for (const name of serviceNamesOf(service)) this.#services.add(name)
  }

  services(): readonly string[] {
    return [...this.#services].sort()
  }

  async listen(address: string): Promise<string> {
    requireLoopback(address, this.#tls !== undefined || this.#rules.insecureDev)
    const credentials = this.#credentials ?? ServerCredentials.createInsecure()
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    this.#server.bindAsync(address, credentials, (error, port) =>
      error === null ? resolve(port) : reject(error),
    )
    try {
      const port = await promise
      return address.startsWith('unix:') ? address : address.replace(/:\d+$/, `:${port}`)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw plainError('UNAVAILABLE', `cannot listen on ${address}: ${why}`)
    }
  }

  async close(graceMs: number): Promise<void> {
    if (this.#stopping.signal.aborted) return
    this.#stopping.abort(rpcError('SERVER_STOPPING'))
    this.#credentials?.stop()
    for (const [scope, { streaming }] of this.#open) {
      if (streaming) scope.abort(rpcError('SERVER_STOPPING'))
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = this.#rules.timers.after(graceMs, () => {
      for (const scope of this.#open.keys()) scope.abort(rpcError('SERVER_STOPPING'))
      resolve()
    })
    this.#server.tryShutdown(() => resolve())
    await promise
    timer.cancel()
    // Lets the last statuses leave before the connections are cut.
    await this.#rules.timers.yieldTurn()
    this.#server.forceShutdown()
  }

  #register(entry: Entry): boolean {
    const { method } = entry
    const { path, requestStream, responseStream } = method
    const serialize = (value: unknown) => toBuffer(method.responseSerialize(value))
    const deserialize = (bytes: Buffer): unknown => method.requestDeserialize(bytes)
    const add = (type: string, run: Runner) =>
      this.#server.register(path, run, serialize, deserialize, type)
    if (requestStream && responseStream) {
      const run: handleBidiStreamingCall<unknown, unknown> = (call) =>
        void this.#stream(entry, call, (scope) => requestsOf(call, scope))
      return add('bidi', run)
    }
    if (requestStream) {
      const run: handleClientStreamingCall<unknown, unknown> = (call, callback) =>
        void this.#single(entry, call, (scope) => requestsOf(call, scope), callback)
      return add('clientStream', run)
    }
    if (responseStream) {
      const run: handleServerStreamingCall<unknown, unknown> = (call) =>
        void this.#stream(entry, call, () => call.request)
      return add('serverStream', run)
    }
    const run: handleUnaryCall<unknown, unknown> = (call, callback) =>
      void this.#single(entry, call, () => call.request, callback)
    return add('unary', run)
  }

  /** A call with one answer. */
  async #single(
    entry: Entry,
    call: AnyCall,
    input: (scope: CallScope) => unknown,
    callback: sendUnaryData<unknown>,
  ): Promise<void> {
    const scope = this.#scopeOf(call)
    const told = this.#told(entry, call)
    try {
      const context = this.#begin(entry, call, scope)
      const handle = () => Promise.resolve(entry.handler(input(scope), context))
      const answer = await scope.race(told === undefined ? handle() : told.within(handle))
      told?.end('OK')
      callback(null, answer)
    } catch (thrown) {
      callback(statusOf(this.#failure(thrown, { scope, entry, told })))
    } finally {
      this.#end(scope)
    }
  }

  /** A call with a stream of answers. */
  async #stream(entry: Entry, call: Writing, input: (scope: CallScope) => unknown): Promise<void> {
    const scope = this.#scopeOf(call)
    const told = this.#told(entry, call)
    try {
      const context = this.#begin(entry, call, scope)
      const items = entry.handler(input(scope), context)
      if (!isAsyncIterable(items)) throw new TypeError(`${entry.method.path} returns no stream`)
      const write = writerTo(call)
      await pump(items, scope, (message) => {
        const full = write(message)
        return full === undefined ? undefined : scope.race(full)
      })
      call.end()
      told?.end('OK')
    } catch (thrown) {
      call.emit('error', statusOf(this.#failure(thrown, { scope, entry, told })))
    } finally {
      this.#end(scope)
    }
  }

  #scopeOf(call: Cancellable): CallScope {
    const scope = new CallScope()
    call.on('cancelled', () => scope.abort(rpcError('CANCELLED')))
    return scope
  }

  /** Admits the call and starts its clock; throws what the caller is to be told. */
  #begin({ method }: Entry, call: AnyCall, scope: CallScope): CallContext {
    const metadata = metadataOf(call.metadata)
    const certified = this.#certified(call)
    const principal = admit(method.path, metadata, this.#rules, certified?.principal)
    if (this.stopping.aborted) throw rpcError('SERVER_STOPPING')
    const streaming = method.requestStream || method.responseStream
    const left = Number(call.getDeadline()) - this.#rules.clock.wallMs()
    const timeoutMs = streaming ? left : Math.min(left, this.#rules.unaryTimeoutMs)
    const bounded = Number.isFinite(timeoutMs)
    const certificateEnd = streaming ? this.#cutAtEnd(certified, scope) : undefined
    this.#open.set(scope, { streaming, certificateEnd })
    if (bounded) scope.expireAfter(this.#rules.timers, timeoutMs)
    return contextOf(scope, principal, metadata, bounded ? timeoutMs : undefined)
  }

  #certified(call: AnyCall): CertifiedCaller | undefined {
    if (this.#tls === undefined) return undefined
    const { trustDomain } = this.#tls.source.current().identity
    const nowMs = this.#rules.clock.wallMs()
    // The library gives it only when the handshake has verified it.
    return certifiedCaller(call.getAuthContext().sslPeerCertificate, { trustDomain, nowMs })
  }

  /** No stream outlives the certificate that opened it. */
  #cutAtEnd(certified: CertifiedCaller | undefined, scope: CallScope): Timer | undefined {
    if (certified === undefined) return undefined
    const { clock, timers } = this.#rules
    return timers.after(certified.notAfterMs - clock.wallMs(), () =>
      scope.abort(rpcError('CERTIFICATE_EXPIRED')),
    )
  }

  #told({ method }: Entry, { metadata }: AnyCall): ToldCall | undefined {
    const { clock, tracer } = this.#rules
    const parent = tracer === undefined ? undefined : parentOf(metadata)
    return beginServed({ method, clock, telemetry: this.#rules }, parent)
  }

  #failure(
    thrown: unknown,
    call: { scope: CallScope; entry: Entry; told: ToldCall | undefined },
  ): RpcError {
    const { scope, entry, told } = call
    const log = { logger: this.#rules.logger, path: entry.method.path }
    const error = toRpcError(thrown, scope, log)
    told?.end(error.code, error.reason)
    return error
  }

  #end(scope: CallScope): void {
    scope.dispose()
    this.#open.get(scope)?.certificateEnd?.cancel()
    this.#open.delete(scope)
  }
}

/** Requests of a streaming call; they end with the call's error when it is aborted. */
function requestsOf(call: Reading, scope: CallScope): AsyncIterable<unknown> {
  const messages = messagesOf(call, { failure: () => scope.error, onReturn: () => undefined })
  scope.signal.addEventListener('abort', () => messages.wake(), { once: true })
  return messages
}

/** A gRPC server behind the transport port. */
export function createGrpcServer(options: GrpcServerOptions): TransportServer & ListsServices {
  // The library prints failures that are thrown as well; errors of the process belong to its
  // logger.
  setLogVerbosity(logVerbosity.NONE)
  const { tls, ...rules } = options
  return new GrpcServer(withDefaults(rules), tls)
}
