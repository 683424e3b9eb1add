import { Inject, Injectable } from '@nestjs/common'
import type { HealthRegistry } from '@serverless-ai/rpc'
import type { Peers } from './peers.ts'
import { HEALTH, PEERS } from './tokens.ts'

/** A condition of readiness: what is missing, or nothing. */
export type ReadinessCheck = () => Promise<readonly string[]> | readonly string[]

/** All conditions under which this process calls itself ready. */
@Injectable()
export class Readiness {
  readonly #health: HealthRegistry
  readonly #peers: Peers
  readonly #checks: ReadinessCheck[] = []

  constructor(@Inject(HEALTH) health: HealthRegistry, @Inject(PEERS) peers: Peers) {
    this.#health = health
    this.#peers = peers
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
    const peers = this.#peers.unreachable().map((peer) => `peer ${peer}`)
    const more = await Promise.all(this.#checks.map((check) => check()))
    return [...notServing, ...peers, ...more.flat()]
  }
}
