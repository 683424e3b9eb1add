import type { HealthRegistry } from '@serverless-ai/rpc'
import type { Peers } from './peers.ts'
import type { RuntimeHost } from './runtime-host.ts'

/** A condition of readiness: what is missing, or nothing. */
export type ReadinessCheck = () => Promise<readonly string[]> | readonly string[]

/** All conditions under which this process calls itself ready. */
export class Readiness {
  readonly #health: HealthRegistry
  readonly #peers: Peers
  readonly #host: Pick<RuntimeHost, 'statuses'>
  readonly #checks: ReadinessCheck[] = []

  constructor(init: {
    health: HealthRegistry
    peers: Peers
    host: Pick<RuntimeHost, 'statuses'>
  }) {
    this.#health = init.health
    this.#peers = init.peers
    this.#host = init.host
  }

  /** Adds a condition, for example `three agents are connected`. */
  add(check: ReadinessCheck): void {
    this.#checks.push(check)
  }

  /** Sentences about what is missing; empty = ready. */
  async missing(): Promise<readonly string[]> {
    const notServing = this.#health
      .list()
      .filter(({ name, serving }) => name !== '' && !serving)
      .map(({ name }) => `${name} is not serving`)
    const blocked = this.#host.statuses().flatMap((status) => status.blocked || [])
    const peers = this.#peers.unreachable().map((peer) => `peer ${peer}`)
    const more = await Promise.all(this.#checks.map((check) => check()))
    return [...notServing, ...blocked, ...peers, ...more.flat()]
  }
}
