import {
  type CallOptions,
  type ClientOf,
  type Clock,
  type Randomness,
  RpcError,
  type Timers,
  type Transport,
} from '@serverless-ai/kernel'
import { rpcError } from './error-table.ts'
import { FollowedAnswers } from './followed-answers.ts'
import { Replay } from './replay.ts'
import {
  DEFAULT_RETRY,
  isAway,
  isNotCarriedOut,
  isNotLeading,
  isNotServed,
  mayRepeat,
  pauseMs,
  type RetryPolicy,
} from './retry.ts'
import { Route } from './route.ts'
import { type AnyMethod, clientFrom, isAsyncIterable } from './shape.ts'

/** What following a leader stands on. */
export interface FollowPorts {
  readonly clock: Clock
  readonly timers: Timers
  readonly randomness: Randomness
}

type Target = { readonly address: string; readonly token?: string }

/**
 * What the leader itself says about a node: no other replica knows better, and the caller has to
 * act on it. Every other failure of a stream's beginning may be one of this replica alone.
 */
const OF_THE_NODE: ReadonlySet<string> = new Set(['LEASE_EXPIRED', 'NODE_AWAY', 'NODE_LOST'])

/** The attempts of one call: after each failure, where to and when. */
class Attempts {
  readonly #route: Route
  readonly #ports: FollowPorts
  readonly #policy: RetryPolicy
  readonly #endMs: number
  #away = 0
  #redirects = 0

  constructor(init: { route: Route; ports: FollowPorts; policy: RetryPolicy; timeMs: number }) {
    this.#route = init.route
    this.#ports = init.ports
    this.#policy = init.policy
    this.#endMs = init.ports.clock.monotonicMs() + init.timeMs
  }

  /** Time that is left, ms. */
  get leftMs(): number {
    return this.#endMs - this.#ports.clock.monotonicMs()
  }

  /**
   * Takes note of a failure at an address and waits until the next attempt is due. Throws the
   * failure when there is to be none.
   */
  async after(
    error: unknown,
    about: { address: string; repeatable: boolean; signal: AbortSignal | undefined },
  ): Promise<void> {
    const { address, repeatable, signal } = about
    // Nothing was carried out, and another process of the list may serve it.
    if (isNotServed(error) && this.#route.drop(address) && this.leftMs > 0) return
    if (!isAway(error)) {
      if (isSilence(error, signal)) this.#route.leave(address)
      throw error
    }
    const pause = isNotLeading(error) ? this.#redirect(error, address) : this.#next(error, address)
    const safe = repeatable || isNotCarriedOut(error)
    if (!safe || pause === undefined || pause >= this.leftMs) throw error
    if (pause === 0) return
    await this.#ports.timers.sleep(pause, signal).catch(() => {
      throw rpcError('CANCELLED')
    })
  }

  /** Another replica leads, or none does yet. */
  #redirect(error: RpcError, address: string): number {
    const moved = this.#route.redirect(address, error.metadata.leaderAddress ?? '')
    this.#redirects += 1
    // The first hop is free; when replicas point at each other, time is what they need.
    return this.#redirects === 1 && moved ? 0 : this.#pause(error, this.#redirects)
  }

  /** Nobody answers there. */
  #next(error: RpcError, address: string): number | undefined {
    this.#route.leave(address)
    this.#away += 1
    const { size } = this.#route
    if (this.#away >= this.#policy.attempts * size) return undefined
    return this.#away % size === 0 ? this.#pause(error, this.#away / size) : 0
  }

  #pause(error: RpcError, attempt: number): number {
    const { randomness } = this.#ports
    return pauseMs({ attempt, policy: this.#policy, randomness, error })
  }
}

/** True when time ran out at an address: the deadline, or a caller that waited long enough. */
function isSilence(error: unknown, signal: AbortSignal | undefined): boolean {
  if (error instanceof RpcError && error.code === 'DEADLINE_EXCEEDED') return true
  return signal?.aborted === true && isAway(signal.reason)
}

/** Calls of one method, to whoever leads. */
class Calls {
  readonly #method: AnyMethod
  readonly #route: Route
  readonly #ports: FollowPorts
  readonly #policy: RetryPolicy
  readonly #open: (address: string, input: unknown, options: CallOptions) => unknown

  constructor(init: {
    method: AnyMethod
    route: Route
    ports: FollowPorts
    policy: RetryPolicy
    open: (address: string, input: unknown, options: CallOptions) => unknown
  }) {
    this.#method = init.method
    this.#route = init.route
    this.#ports = init.ports
    this.#policy = init.policy
    this.#open = init.open
  }

  /** The function that a typed client offers for the method. */
  bind(): unknown {
    if (this.#method.responseStream) {
      return (input: unknown, options: CallOptions = {}) => this.#stream(input, options)
    }
    return (input: unknown, options: CallOptions = {}) => this.#single(input, options)
  }

  #attempts(options: CallOptions, policy: RetryPolicy): Attempts {
    const timeMs = options.timeoutMs ?? policy.leaderlessMs
    return new Attempts({ route: this.#route, ports: this.#ports, policy, timeMs })
  }

  /** One answer: unary calls and uploads. */
  async #single(input: unknown, options: CallOptions): Promise<unknown> {
    const attempts = this.#attempts(options, this.#policy)
    const replay = this.#replay(input)
    const safe = mayRepeat(this.#method.path, input)
    try {
      for (;;) {
        const address = this.#route.current
        try {
          // The time of the call is that of all its attempts.
          const limit = options.timeoutMs === undefined ? {} : { timeoutMs: attempts.leftMs }
          return await this.#open(address, replay?.begin() ?? input, { ...options, ...limit })
        } catch (error) {
          if (replay?.repeatable === false) throw error
          const { signal } = options
          await attempts.after(error, { address, repeatable: safe, signal })
        }
      }
    } finally {
      replay?.close()
    }
  }

  /** Many answers: redirected until the first of them, afterwards a failure is the caller's. */
  #stream(input: unknown, options: CallOptions): AsyncIterableIterator<unknown> {
    return new FollowedAnswers({
      open: (address, requests) => {
        const answers = this.#open(address, requests ?? input, options)
        if (!isAsyncIterable(answers)) throw new TypeError('a stream was expected')
        return answers[Symbol.asyncIterator]()
      },
      attempts: () => {
        const attempts = this.#attempts(options, { ...this.#policy, attempts: 1 })
        return (error, address) => {
          if (isAway(error) && OF_THE_NODE.has(error.reason)) throw error
          return attempts.after(error, { address, repeatable: true, signal: options.signal })
        }
      },
      replay: () => this.#replay(input),
      route: this.#route,
      signal: options.signal,
    })
  }

  #replay(input: unknown): Replay | undefined {
    if (!this.#method.requestStream) return undefined
    if (!isAsyncIterable(input)) throw new TypeError(`${this.#method.path} takes a stream`)
    return new Replay(input)
  }
}

class FollowingTransport implements Transport {
  readonly #transport: Transport
  readonly #ports: FollowPorts
  readonly #policy: RetryPolicy
  /** Leaders are those of a service: by address list and full service name. */
  readonly #routes = new Map<string, Route>()

  constructor(init: { transport: Transport; ports: FollowPorts; policy: RetryPolicy }) {
    this.#transport = init.transport
    this.#ports = init.ports
    this.#policy = init.policy
  }

  client<S>(service: S, target: Target): ClientOf<S> {
    return clientFrom(service, (method) => {
      const open = this.#opener(method, target)
      const route = this.#route(method, target.address)
      const { ports, policy } = { ports: this.#ports, policy: this.#policy }
      return new Calls({ method, route, ports, policy, open }).bind()
    })
  }

  close(): Promise<void> {
    return this.#transport.close()
  }

  #route(method: AnyMethod, list: string): Route {
    const key = `${list} ${method.path.split('/')[1]}`
    const route = this.#routes.get(key) ?? new Route(list)
    this.#routes.set(key, route)
    return route
  }

  #opener(method: AnyMethod, target: Target) {
    const clients = new Map<string, ClientOf<{ readonly call: AnyMethod }>>()
    return (address: string, input: unknown, options: CallOptions): unknown => {
      let client = clients.get(address)
      if (client === undefined) {
        client = this.#transport.client({ call: method }, { ...target, address })
        clients.set(address, client)
      }
      return client.call(input, options)
    }
  }
}

/**
 * A transport whose addresses may be lists, `host:port,host:port`, also of processes that serve
 * different services: calls go to the replica that is known to lead. On `NOT_LEADING` they go to
 * the leader it names or to the next replica, until the call's deadline; where nobody answers, to
 * the next replica. After an `UNAVAILABLE` that does not say that the call was certainly not
 * carried out ({@link isNotCarriedOut}; `OUTCOME_UNKNOWN` says the contrary) it is made again only
 * when that is safe ({@link mayRepeat}). Streams are redirected until their first answer. Closing
 * it closes the transport below.
 */
export function followLeader(
  transport: Transport,
  ports: FollowPorts,
  policy: Partial<RetryPolicy> = {},
): Transport {
  return new FollowingTransport({ transport, ports, policy: { ...DEFAULT_RETRY, ...policy } })
}
