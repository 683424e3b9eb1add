import type { Clock, Logger, Timer, Timers } from '@serverless-ai/kernel'
import { poolError } from '../adapters/errors.ts'
import { silenceMs, verdict } from '../core/lease.ts'
import type { PoolCommand } from '../core/messages.ts'
import type { PoolNode } from '../core/model.ts'
import { executionsOn, type PoolState } from '../core/state.ts'
import type { AgentHub } from './agent-hub.ts'
import type { PoolRuntime } from './definition.ts'

/** Longest time between two looks, ms. */
const TICK_MAX_MS = 1_000

/** What the watch needs. */
export interface LeaseWatchOptions {
  readonly runtime: PoolRuntime
  readonly hub: AgentHub
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  readonly leaseMs: number
}

/** A node as the watch looks at it. */
interface WatchedNode {
  readonly nodeId: string
  readonly at: PoolNode['state']['at']
  readonly registration: number
  readonly supervisorSession: string
  readonly heldLeaseMs: number
  /** True while executions of older supervisors are not accounted for. */
  readonly hasOlder: boolean
}

/**
 * Believes silent nodes lost. Only the leader watches, and it counts silence from its own claim at
 * the earliest: an outage of the control plane, however long, makes no lost node by itself.
 */
export class LeaseWatch {
  readonly #options: LeaseWatchOptions
  readonly #busy = new Set<string>()
  #timer: Timer | undefined
  #stopped = true

  constructor(options: LeaseWatchOptions) {
    this.#options = options
  }

  start(): void {
    this.#stopped = false
    this.#arm()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #arm(): void {
    if (this.#stopped) return
    const { timers, leaseMs } = this.#options
    this.#timer = timers.after(Math.min(TICK_MAX_MS, leaseMs / 4), () => void this.#tick())
  }

  async #tick(): Promise<void> {
    try {
      await this.#look()
    } catch (error) {
      this.#options.logger.log('debug', 'the lease watch could not look', { error: String(error) })
    }
    this.#arm()
  }

  async #look(): Promise<void> {
    const { runtime, hub } = this.#options
    if (hub.leadingSinceMs === undefined) return
    const { value: nodes } = await runtime.read((state) => watched(state))
    // Read again: leadership may have come anew meanwhile.
    const leadingSinceMs = hub.leadingSinceMs
    if (leadingSinceMs === undefined) return
    for (const node of nodes) this.#judge(node, leadingSinceMs)
  }

  #judge(node: WatchedNode, leadingSinceMs: number): void {
    const { hub, clock, leaseMs } = this.#options
    const { nodeId, registration, heldLeaseMs } = node
    if (this.#busy.has(nodeId)) return
    const lastSignMs = hub.lastSignMs(nodeId)
    const nowMs = clock.monotonicMs()
    const view = { lastSignMs, leadingSinceMs, nowMs, leaseMs, heldLeaseMs }
    const silentMs = Math.round(silenceMs(view))
    switch (verdict(view)) {
      case 'lost':
        // The stream goes first: no heartbeat is answered while the node is being declared lost.
        hub.closeStream(nodeId, 'believed lost', poolError('NODE_LOST', { node: nodeId }))
        this.#send({ type: 'LoseNode', nodeId, registration, silentMs })
        return
      case 'disconnected':
        hub.closeStream(
          nodeId,
          'no heartbeat',
          poolError('LEASE_EXPIRED', { node: nodeId, silentMs }),
        )
        if (node.at === 'Ready') {
          const cause = `no heartbeat for ${silentMs} ms`
          this.#send({ type: 'DisconnectNode', nodeId, registration, cause })
        }
        return
      case 'alive':
        this.#settleOlder(node)
    }
  }

  /** A new supervisor that says nothing for a whole lease holds nothing of the older ones. */
  #settleOlder(node: WatchedNode): void {
    const { hub, clock, leaseMs } = this.#options
    const session = hub.sessionOf(node.nodeId)
    if (!node.hasOlder || session === undefined || session.reported) return
    if (clock.monotonicMs() - session.activeSinceMs < leaseMs) return
    const { nodeId, supervisorSession } = node
    this.#send({ type: 'AssumeSessionEmpty', nodeId, supervisorSession })
  }

  #send(command: PoolCommand & { readonly nodeId: string }): void {
    const { runtime, logger } = this.#options
    const { type, nodeId } = command
    this.#busy.add(nodeId)
    runtime
      .execute(command)
      .then((answer) => {
        const outcome = answer.ok ? 'recorded' : answer.refusal.reason
        logger.log('info', 'lease watch', { type, nodeId, outcome })
      })
      .catch((error: unknown) => {
        logger.log('warn', 'lease watch', { type, nodeId, outcome: String(error) })
      })
      .finally(() => this.#busy.delete(nodeId))
  }
}

function watched(state: PoolState): readonly WatchedNode[] {
  return [...state.nodes.values()]
    .filter((node) => node.state.at !== 'Lost')
    .map((node) => ({
      nodeId: node.nodeId,
      at: node.state.at,
      registration: node.registration,
      supervisorSession: node.supervisorSession,
      heldLeaseMs: node.leaseMs,
      hasOlder: hasOlder(state, node),
    }))
}

function hasOlder(state: PoolState, node: PoolNode): boolean {
  for (const execution of executionsOn(state, node.nodeId)) {
    if (execution.session !== node.supervisorSession) return true
  }
  return false
}
