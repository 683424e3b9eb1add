import {
  HealthService,
  HealthCheckResponse_ServingStatus as Serving,
} from '@serverless-ai/contracts/grpc/health/v1/health'
import type { HandlersOf, TransportServer } from '@serverless-ai/kernel'
import { rpcError } from './error-table.ts'

/** Watchers at a time; one more is refused. */
const WATCHERS_MAX = 1_000

type Status = (typeof Serving)[keyof typeof Serving]

/**
 * What this process serves. Names are services (`scheduler`) or keys that somebody resolves
 * (`scheduler/0/7/<claimId>`); the empty name is the process.
 */
export class HealthRegistry {
  readonly #known = new Map<string, () => boolean>()
  readonly #resolvers: ((name: string) => boolean | undefined)[] = []
  readonly #watchers = new Set<() => void>()
  #draining = false

  /**
   * Sets a name, to a state or to what tells it (then call {@link changed} when that changes). The
   * process is serving once every set name is.
   */
  set(name: string, serving: boolean | (() => boolean)): void {
    this.#known.set(name, typeof serving === 'boolean' ? () => serving : serving)
    this.changed()
  }

  /** Answers names that were not set; undefined = not known to this resolver. */
  resolve(resolver: (name: string) => boolean | undefined): void {
    this.#resolvers.push(resolver)
  }

  /** Wakes watchers: call it when a resolver would answer otherwise. */
  changed(): void {
    for (const wake of this.#watchers) wake()
  }

  /**
   * From now on no set name is serving: first step of a shutdown. Resolved names (claims) are what
   * their resolver says until the end: a leader is one until it has yielded.
   */
  drain(): void {
    this.#draining = true
    this.changed()
  }

  /** True, false, or undefined for an unknown name. */
  check(name: string): boolean | undefined {
    const set = this.#known.get(name)
    if (set !== undefined) return set() && !this.#draining
    if (name === '') return !this.#draining && [...this.#known.values()].every((one) => one())
    for (const resolver of this.#resolvers) {
      const answer = resolver(name)
      if (answer !== undefined) return answer
    }
    return undefined
  }

  /** Names that are set, with their state. */
  list(): readonly { readonly name: string; readonly serving: boolean }[] {
    const names = ['', ...[...this.#known.keys()].filter((name) => name !== '')]
    return names.map((name) => ({ name, serving: this.check(name) ?? false }))
  }

  /** The state now and after each change, until the signal aborts. */
  async *watch(name: string, signal: AbortSignal): AsyncGenerator<boolean | undefined> {
    if (this.#watchers.size >= WATCHERS_MAX) throw rpcError('TOO_MANY_WATCHERS')
    let wake = () => {}
    const poke = () => wake()
    this.#watchers.add(poke)
    signal.addEventListener('abort', poke, { once: true })
    try {
      let last: boolean | undefined | 'none' = 'none'
      while (!signal.aborted) {
        const now = this.check(name)
        if (now !== last) {
          last = now
          yield now
          continue
        }
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    } finally {
      this.#watchers.delete(poke)
      signal.removeEventListener('abort', poke)
    }
  }
}

const statusOf = (serving: boolean | undefined): Status => {
  if (serving === undefined) return Serving.SERVICE_UNKNOWN
  return serving ? Serving.SERVING : Serving.NOT_SERVING
}

/** Serves `grpc.health.v1.Health` from a registry. */
export function addHealth(server: TransportServer, registry: HealthRegistry): void {
  const handlers: HandlersOf<typeof HealthService> = {
    async check({ service }) {
      const serving = registry.check(service)
      if (serving === undefined) {
        throw rpcError('NOT_FOUND', {
          message: `NOT_FOUND: health of ${service} is not known here`,
        })
      }
      return { status: statusOf(serving) }
    },
    async list() {
      const entries = registry
        .list()
        .map(({ name, serving }) => [name, { status: statusOf(serving) }] as const)
      return { statuses: Object.fromEntries(entries) }
    },
    async *watch({ service }, { signal }) {
      for await (const serving of registry.watch(service, signal)) {
        yield { status: statusOf(serving) }
      }
    },
  }
  server.add(HealthService, handlers)
}
