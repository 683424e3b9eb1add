import { setTimeout as pause } from 'node:timers/promises'
import { Node_State, PoolServiceService } from '@serverless-ai/contracts/pool/v1/pool'
import { systemClock } from '@serverless-ai/kernel/system'
import { createGrpcTransport } from '@serverless-ai/rpc'
import { until } from '../../support/until.ts'
import { BenchAgent } from './bench-agent.ts'

/** Agents of a benchmark. */
export const NODES = 200
/** Emulated devices of each agent, where a benchmark says nothing else. */
export const DEVICES_PER_NODE = 32
/** Names of the agents. */
export const nodeNames = (): readonly string[] =>
  Array.from({ length: NODES }, (_, index) => `bench-${index + 1}`)

const READY_TIMEOUT_MS = 60_000

/** Pause before an agent whose stream has ended connects again, ms. */
const AGAIN_MS = 250

/** Where a fleet connects, and as whom. */
export interface FleetInit {
  /** Of the pool manager. */
  readonly address: string
  readonly admin: string
  /** Tokens by node. */
  readonly tokens: Readonly<Record<string, string>>
  /** Emulated devices of each agent. */
  readonly devices: number
}

/**
 * {@link NODES} agents that start nothing, each on a connection of its own; they come back when
 * their streams end.
 */
export class BenchFleet {
  readonly #init: FleetInit
  readonly #agents = new Map<string, BenchAgent>()
  #running: Promise<unknown> = Promise.resolve()
  #stopped = false

  private constructor(init: FleetInit) {
    this.#init = init
  }

  /** Resolves when the pool manager knows all of them as ready. */
  static async start(init: FleetInit): Promise<BenchFleet> {
    const fleet = new BenchFleet(init)
    fleet.#running = Promise.all(nodeNames().map((nodeId) => fleet.#keep(nodeId)))
    try {
      await fleet.#ready()
      return fleet
    } catch (error) {
      await fleet.stop()
      throw error
    }
  }

  async #keep(nodeId: string): Promise<void> {
    const { address, tokens, devices } = this.#init
    while (!this.#stopped) {
      const transport = createGrpcTransport({ clock: systemClock })
      const token = tokens[nodeId] ?? ''
      const agent = new BenchAgent({ nodeId, token, devices })
      this.#agents.set(nodeId, agent)
      // The stream ends with an error when the pool manager stops.
      await agent.run(transport, address).catch(() => {})
      agent.stop()
      await transport.close()
      if (!this.#stopped) await pause(AGAIN_MS)
    }
  }

  async #ready(): Promise<void> {
    const { address, admin: token } = this.#init
    const transport = createGrpcTransport({ clock: systemClock })
    const pool = transport.client(PoolServiceService, { address, token })
    const ready = async (): Promise<true | undefined> => {
      const { nodes } = await pool.listNodes({ pageSize: 1_000, pageToken: '', minPosition: '' })
      const there = nodes.filter(({ state }) => state === Node_State.READY)
      return there.length === NODES ? true : undefined
    }
    try {
      await until(`${NODES} bench agents`, ready, { timeoutMs: READY_TIMEOUT_MS })
    } finally {
      await transport.close()
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const agent of this.#agents.values()) agent.stop()
    await this.#running
  }
}
