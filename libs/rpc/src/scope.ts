import {
  type CallContext,
  type Logger,
  type Principal,
  RpcError,
  type Timer,
  type Timers,
} from '@serverless-ai/kernel'
import { rpcError } from './error-table.ts'

/**
 * The life of one call: one abort signal, one deadline timer, and races against the abort that
 * leave nothing behind (a `Promise.race` per message on a long stream would).
 */
export class CallScope {
  /** Made when somebody looks at the signal: most calls end without. */
  #controller: AbortController | undefined
  readonly #waiting = new Set<(error: RpcError) => void>()
  #error: RpcError | undefined
  #timer: Timer | undefined

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#error !== undefined) this.#controller.abort(this.#error)
    }
    return this.#controller.signal
  }

  /** Why it was aborted. */
  get error(): RpcError | undefined {
    return this.#error
  }

  /** Aborts once; later calls change nothing. */
  abort(error: RpcError): void {
    if (this.#error !== undefined) return
    this.#error = error
    for (const reject of this.#waiting) reject(error)
    this.#waiting.clear()
    this.#controller?.abort(error)
  }

  /** Aborts with `DEADLINE_EXCEEDED` after `timeoutMs`. */
  expireAfter(timers: Timers, timeoutMs: number): void {
    if (timeoutMs <= 0) this.abort(rpcError('DEADLINE_EXCEEDED'))
    else this.#timer = timers.after(timeoutMs, () => this.abort(rpcError('DEADLINE_EXCEEDED')))
  }

  /** Calls `listener` when it is aborted, at once if it is; returns what takes it back. */
  onAbort(listener: (error: RpcError) => void): () => void {
    if (this.#error === undefined) this.#waiting.add(listener)
    else listener(this.#error)
    return () => this.#waiting.delete(listener)
  }

  /** The value of `promise`, or a rejection with the abort's error, whichever is first. */
  race<T>(promise: Promise<T>): Promise<T> {
    const { promise: result, resolve, reject } = Promise.withResolvers<T>()
    if (this.#error === undefined) this.#waiting.add(reject)
    else reject(this.#error)
    promise.then(
      (value) => {
        this.#waiting.delete(reject)
        resolve(value)
      },
      (error: unknown) => {
        this.#waiting.delete(reject)
        reject(error)
      },
    )
    return result
  }

  /** The call is over: stops the timer. */
  dispose(): void {
    this.#timer?.cancel()
    this.#waiting.clear()
  }
}

/** A class, because an accessor in a literal is made anew for every call. */
class ScopedContext implements CallContext {
  readonly principal: Principal
  readonly timeoutMs: number | undefined
  readonly metadata: ReadonlyMap<string, string>
  readonly #scope: CallScope

  constructor(
    scope: CallScope,
    principal: Principal,
    metadata: ReadonlyMap<string, string>,
    timeoutMs: number | undefined,
  ) {
    this.#scope = scope
    this.principal = principal
    this.metadata = metadata
    this.timeoutMs = timeoutMs
  }

  get signal(): AbortSignal {
    return this.#scope.signal
  }
}

/** What a handler is given. */
export function contextOf(
  scope: CallScope,
  principal: Principal,
  metadata: ReadonlyMap<string, string>,
  timeoutMs: number | undefined,
): CallContext {
  return new ScopedContext(scope, principal, metadata, timeoutMs)
}

/**
 * What the caller is told about anything that was thrown. An unexpected error is logged and its
 * text stays here: it may quote data of another tenant.
 */
export function toRpcError(
  thrown: unknown,
  scope: CallScope | undefined,
  log: { readonly logger: Logger; readonly path: string },
): RpcError {
  if (thrown instanceof RpcError) return thrown
  // A handler that awaited something with the call's signal ends with whatever that rejects with.
  if (scope?.error !== undefined) return scope.error
  log.logger.log('error', 'handler failed', { method: log.path, error: thrown })
  return rpcError('INTERNAL')
}

/** Where the items of a pump go; a promise is waited for before the next one is asked for. */
type Put = (item: unknown) => Promise<void> | void

interface Settle {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** One run of {@link pump}: callbacks, because each await of an item would cost it three turns. */
class Pump {
  readonly #iterator: AsyncIterator<unknown>
  readonly #put: Put
  readonly #settle: Settle
  #release: (() => void) | undefined
  #over = false

  constructor(items: AsyncIterable<unknown>, put: Put, settle: Settle) {
    this.#iterator = items[Symbol.asyncIterator]()
    this.#put = put
    this.#settle = settle
  }

  start(scope: CallScope): void {
    this.#ask()
    const release = scope.onAbort(this.#fail)
    if (this.#over) release()
    else this.#release = release
  }

  readonly #ask = (): void => {
    if (this.#over) return
    try {
      Promise.resolve(this.#iterator.next()).then(this.#taken, this.#fail)
    } catch (error) {
      this.#fail(error)
    }
  }

  readonly #taken = (step: IteratorResult<unknown>): void => {
    if (this.#over) return
    if (step.done) {
      this.#end()
      this.#settle.resolve()
      return
    }
    try {
      const room = this.#put(step.value)
      if (room === undefined) this.#ask()
      else room.then(this.#ask, this.#fail)
    } catch (error) {
      this.#fail(error)
    }
  }

  readonly #fail = (error: unknown): void => {
    if (this.#over) return
    this.#end()
    closeQuietly(this.#iterator)
    this.#settle.reject(error)
  }

  #end(): void {
    this.#over = true
    this.#release?.()
  }
}

/**
 * Hands every item to `put` until the end or the abort. An iterator that is not finished is closed,
 * without waiting for it: it may hang, and the call must end all the same.
 */
export function pump(items: AsyncIterable<unknown>, scope: CallScope, put: Put): Promise<void> {
  return new Promise((resolve, reject) => {
    new Pump(items, put, { resolve, reject }).start(scope)
  })
}

/** Closes an iterator; its failure to close concerns nobody any more. */
export function closeQuietly(iterator: AsyncIterator<unknown>): void {
  try {
    Promise.resolve(iterator.return?.()).catch(() => undefined)
  } catch {
    // A synchronous throw of `return` is no more interesting than a rejection.
  }
}
