import {
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  Metadata,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js'
import { type CallOptions, type Clock, type RpcError, TRACEPARENT } from '@serverless-ai/kernel'
import { beginMade, type CallTelemetry, type ToldCall } from './call-telemetry.ts'
import { codeOf } from './codes.ts'
import { rpcError } from './error-table.ts'
import { messagesOf, writerTo } from './reader.ts'
import { CallScope, pump } from './scope.ts'
import { UNARY_TIMEOUT_MS } from './server-options.ts'
import type { AnyMethod } from './shape.ts'
import { decodeStatus, plainError } from './status.ts'
import { mismatchError } from './tls.ts'

type Reading = ClientReadableStream<unknown> | ClientDuplexStream<unknown, unknown>
type Writing = ClientWritableStream<unknown> | ClientDuplexStream<unknown, unknown>

const toBuffer = (bytes: Uint8Array) =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** The error that the server meant, or what the library says when there was no server. */
function errorOf(error: ServiceError): RpcError {
  const [details] = error.metadata?.get('grpc-status-details-bin') ?? []
  if (Buffer.isBuffer(details)) return decodeStatus(details)
  const said = error.details || error.message
  const mismatch = mismatchError(said)
  if (mismatch !== undefined) return mismatch
  // The library's words for a call that never left this process.
  if (said.startsWith('No connection established')) {
    return rpcError('NOT_CONNECTED', { message: `NOT_CONNECTED: ${said}` })
  }
  return plainError(codeOf(error.code), said)
}

/** One method of one target: everything a call of it needs. */
export class Caller {
  /** Of now: a new certificate brings a new channel. */
  readonly #client: () => Client
  readonly #method: AnyMethod
  readonly #clock: Clock
  readonly #token: string | undefined
  readonly #telemetry: CallTelemetry

  constructor(init: {
    client: () => Client
    method: AnyMethod
    clock: Clock
    token: string | undefined
    telemetry: CallTelemetry
  }) {
    this.#client = init.client
    this.#method = init.method
    this.#clock = init.clock
    this.#token = init.token
    this.#telemetry = init.telemetry
  }

  readonly #serialize = (value: unknown): Buffer => toBuffer(this.#method.requestSerialize(value))
  readonly #parse = (bytes: Buffer): unknown => this.#method.responseDeserialize(bytes)

  /** The function that a typed client offers for the method. */
  bind(): unknown {
    const { requestStream, responseStream } = this.#method
    if (requestStream && responseStream) {
      return (requests: AsyncIterable<unknown>, options: CallOptions = {}) =>
        this.#bidi(requests, options)
    }
    if (requestStream) {
      return (requests: AsyncIterable<unknown>, options: CallOptions = {}) =>
        this.#upload(requests, options)
    }
    if (responseStream) {
      return (request: unknown, options: CallOptions = {}) => this.#download(request, options)
    }
    return (request: unknown, options: CallOptions = {}) => this.#unary(request, options)
  }

  #begin(): ToldCall | undefined {
    return beginMade({ method: this.#method, clock: this.#clock, telemetry: this.#telemetry })
  }

  #metadata(options: CallOptions, told: ToldCall | undefined): Metadata {
    const metadata = new Metadata()
    if (told?.span !== undefined) metadata.set(TRACEPARENT, told.span.context)
    for (const [key, value] of Object.entries(options.metadata ?? {})) metadata.set(key, value)
    if (this.#token !== undefined) metadata.set('authorization', `Bearer ${this.#token}`)
    return metadata
  }

  #deadline(timeoutMs: number | undefined): { deadline?: number } {
    return timeoutMs === undefined ? {} : { deadline: this.#clock.wallMs() + timeoutMs }
  }

  #unary(request: unknown, options: CallOptions): Promise<unknown> {
    if (options.signal?.aborted) return Promise.reject(rpcError('CANCELLED'))
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const told = this.#begin()
    const call = this.#client().makeUnaryRequest(
      this.#method.path,
      this.#serialize,
      this.#parse,
      request,
      this.#metadata(options, told),
      this.#deadline(options.timeoutMs ?? UNARY_TIMEOUT_MS),
      (error, answer) => (error === null ? resolve(answer) : reject(errorOf(error))),
    )
    follow(call, told)
    return cancelled(promise, options.signal, call)
  }

  #upload(requests: AsyncIterable<unknown>, options: CallOptions): Promise<unknown> {
    if (options.signal?.aborted) return Promise.reject(rpcError('CANCELLED'))
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const told = this.#begin()
    const call = this.#client().makeClientStreamRequest(
      this.#method.path,
      this.#serialize,
      this.#parse,
      this.#metadata(options, told),
      this.#deadline(options.timeoutMs),
      (error, answer) => {
        scope.abort(rpcError('CANCELLED'))
        if (error === null) resolve(answer)
        else reject(errorOf(error))
      },
    )
    follow(call, told)
    const scope = send(call, requests, reject)
    return cancelled(promise, options.signal, call)
  }

  async *#download(request: unknown, options: CallOptions): AsyncGenerator<unknown> {
    if (options.signal?.aborted) throw rpcError('CANCELLED')
    const told = this.#begin()
    const call = this.#client().makeServerStreamRequest(
      this.#method.path,
      this.#serialize,
      this.#parse,
      request,
      this.#metadata(options, told),
      this.#deadline(options.timeoutMs),
    )
    follow(call, told)
    yield* answersOf(call, options.signal)
  }

  async *#bidi(requests: AsyncIterable<unknown>, options: CallOptions): AsyncGenerator<unknown> {
    if (options.signal?.aborted) throw rpcError('CANCELLED')
    const told = this.#begin()
    const call = this.#client().makeBidiStreamRequest(
      this.#method.path,
      this.#serialize,
      this.#parse,
      this.#metadata(options, told),
      this.#deadline(options.timeoutMs),
    )
    follow(call, told)
    let broken: unknown
    const scope = send(call, requests, (error) => {
      broken = error
    })
    try {
      yield* answersOf(call, options.signal)
    } catch (error) {
      throw broken ?? error
    } finally {
      scope.abort(rpcError('CANCELLED'))
    }
  }
}

/** Tells the end of a call to those who are told of it. */
function follow(
  call: { on(event: 'status', listener: (status: StatusObject) => void): unknown },
  told: ToldCall | undefined,
): void {
  if (told === undefined) return
  call.on('status', ({ code }) => told.end(code === 0 ? 'OK' : codeOf(code)))
}

/** Ties a call with one answer to the caller's signal. */
function cancelled<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  call: { cancel(): void },
): Promise<T> {
  if (signal === undefined) return promise
  const cancel = () => call.cancel()
  signal.addEventListener('abort', cancel, { once: true })
  return promise.finally(() => signal.removeEventListener('abort', cancel))
}

/**
 * Sends requests in the background until they end or the returned scope is aborted. When the
 * caller's own iterator fails, the call is cancelled and `onBroken` gets that error.
 */
function send(
  call: Writing,
  requests: AsyncIterable<unknown>,
  onBroken: (error: unknown) => void,
): CallScope {
  const scope = new CallScope()
  const write = writerTo(call)
  const put = (message: unknown) => {
    const full = write(message)
    return full === undefined ? undefined : scope.race(full)
  }
  pump(requests, scope, put)
    .then(() => call.end())
    .catch((error: unknown) => {
      if (scope.error !== undefined) return
      onBroken(error)
      call.cancel()
    })
  return scope
}

/** Answers of a streaming call; leaving the loop early cancels the call. */
async function* answersOf(call: Reading, signal: AbortSignal | undefined): AsyncGenerator<unknown> {
  let failure: RpcError | undefined
  const messages = messagesOf(call, { failure: () => failure, onReturn: () => call.cancel() })
  call.on('error', (error: ServiceError) => {
    failure ??= errorOf(error)
    messages.wake()
  })
  const cancel = () => call.cancel()
  signal?.addEventListener('abort', cancel, { once: true })
  try {
    yield* messages
  } finally {
    signal?.removeEventListener('abort', cancel)
  }
}
