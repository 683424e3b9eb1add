import type { CallOptions, ClientOf, RpcError, Timers, Transport } from '@serverless-ai/kernel'
import { Inbox, Outbox } from './channel.ts'
import { rpcError } from './error-table.ts'
import { type Caller, MemoryCall, type Target } from './memory-call.ts'
import { DIRECT, type Link } from './memory-link.ts'
import type { MemoryServer, ServerEnd } from './memory-server.ts'
import { CallScope, pump } from './scope.ts'
import { UNARY_TIMEOUT_MS } from './server-options.ts'
import { type AnyMethod, clientFrom, isAsyncIterable } from './shape.ts'
import { plainError } from './status.ts'

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

  #stream(
    method: AnyMethod,
    target: Target,
    input: unknown,
    options: CallOptions,
  ): AsyncIterableIterator<unknown> {
    return new StreamAnswers(this.#caller, { method, target, input, options })
  }
}

/** The answers of a stream. The call begins when the first of them is asked for. */
class StreamAnswers implements AsyncIterableIterator<unknown> {
  readonly #caller: Caller
  readonly #init: { method: AnyMethod; target: Target; input: unknown; options: CallOptions }
  #call: StreamCall | undefined
  #over = false

  constructor(
    caller: Caller,
    init: { method: AnyMethod; target: Target; input: unknown; options: CallOptions },
  ) {
    this.#caller = caller
    this.#init = init
  }

  next(): Promise<IteratorResult<unknown>> {
    if (this.#over) return Promise.resolve(OVER)
    if (this.#call === undefined) return this.#begin()
    return this.#call.answers.next().then(this.#taken, this.#failed)
  }

  return(): Promise<IteratorResult<unknown>> {
    this.#end()
    return Promise.resolve(OVER)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async #begin(): Promise<IteratorResult<unknown>> {
    const { method, target, input, options } = this.#init
    try {
      if (options.signal?.aborted) throw rpcError('CANCELLED')
      const requests = toIterable(input, method)
      const call = new StreamCall(this.#caller, method, target, options)
      this.#call = call
      if (this.#caller.link === DIRECT) await this.#caller.timers.yieldTurn()
      call.start(method, requests)
    } catch (error) {
      return this.#failed(error)
    }
    return this.next()
  }

  readonly #taken = (step: IteratorResult<Uint8Array>): IteratorResult<unknown> => {
    if (step.done === true || this.#over) {
      this.#end()
      return OVER
    }
    try {
      return { done: false, value: this.#init.method.responseDeserialize(step.value) }
    } catch (error) {
      return this.#failed(error)
    }
  }

  readonly #failed = (error: unknown): never => {
    const broken = this.#call?.broken
    this.#end()
    throw broken === undefined ? error : broken.error
  }

  #end(): void {
    this.#over = true
    this.#call?.cancel()
  }
}

const OVER: IteratorReturnResult<undefined> = { done: true, value: undefined }

async function* one(value: unknown): AsyncGenerator<unknown> {
  yield value
}

function toIterable(input: unknown, method: AnyMethod): AsyncIterable<unknown> {
  if (!method.requestStream) return one(input)
  if (!isAsyncIterable(input)) throw new TypeError(`${method.path} takes a stream`)
  return input
}
