import type { Heartbeat } from '@serverless-ai/contracts/agent/v1/agent'
import type { Logger } from '@serverless-ai/kernel'
import { poolError } from '../adapters/errors.ts'
import type { AgentSession } from './agent-session.ts'

/**
 * Answers heartbeats, and only those received before a commit of this leader that it has read back:
 * an ex-leader renews no lease. All heartbeats that wait share one confirmation.
 */
export class Heartbeats {
  readonly #confirm: () => Promise<unknown>
  readonly #leaseMs: number
  readonly #logger: Logger
  #waiting = new Map<AgentSession, Heartbeat>()
  #running = false

  /** @param init `confirm`: resolves when a commit that began after the call was read back */
  constructor(init: { confirm: () => Promise<unknown>; leaseMs: number; logger: Logger }) {
    this.#confirm = init.confirm
    this.#leaseMs = init.leaseMs
    this.#logger = init.logger
  }

  /** A heartbeat came in on an active stream. A newer one of the same stream replaces it. */
  receive(session: AgentSession, heartbeat: Heartbeat): void {
    this.#waiting.set(session, heartbeat)
    if (!this.#running) void this.#run()
  }

  async #run(): Promise<void> {
    this.#running = true
    while (this.#waiting.size > 0) {
      const batch = this.#waiting
      this.#waiting = new Map()
      try {
        await this.#confirm()
        for (const [session, heartbeat] of batch) this.#answer(session, heartbeat)
      } catch (error) {
        this.#logger.log('warn', 'heartbeats cannot be answered', { error: String(error) })
        for (const session of batch.keys()) session.close('not leading', poolError('NOT_LEADING'))
      }
    }
    this.#running = false
  }

  #answer(session: AgentSession, { number, sentBootMs }: Heartbeat): void {
    // A stream that was closed meanwhile (its node may be declared lost by now) gets no lease.
    if (session.closed) return
    session.outbox.setHeartbeatAck({ number, sentBootMs, leaseMs: BigInt(this.#leaseMs) })
  }
}
