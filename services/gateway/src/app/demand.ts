import type { ScalingServiceService } from '@serverless-ai/contracts/scaling/v1/scaling'
import { type ClientOf, type Clock, type Logger, RpcError } from '@serverless-ai/kernel'

/** Tells whoever scales a service that requests are held for it. */
export interface DemandSignal {
  /** Never throws, never waits; a signal that is lost is followed by the next second's. */
  demand(about: Demand): void
}

/** Requests that are held. */
export interface Demand {
  readonly jobId: string
  /** Requests that are held here. */
  readonly queued: number
  /** Age of the oldest of them, ms. */
  readonly oldestMs: number
}

/** Nobody to tell. */
export const NO_DEMAND: DemandSignal = { demand: () => undefined }

/** Least time between two calls about a line that was there before, ms. */
const EVERY_MS = 900
/** Longest wait for an answer, ms: the next one has newer numbers. */
const TIMEOUT_MS = 2_000
/** Services that are remembered. */
const SERVICES_MAX = 10_000

interface Told {
  readonly atMs: number
  running: boolean
}

/**
 * Tells the autoscaler: at once when a first request is held, then once a second. One call about a
 * service at a time: a slow autoscaler gets fewer, newer numbers.
 */
export class CalledDemand implements DemandSignal {
  readonly #scaling: Pick<ClientOf<ScalingServiceService>, 'demand'>
  readonly #gateway: string
  readonly #ports: { readonly clock: Clock; readonly logger: Logger }
  readonly #told = new Map<string, Told>()
  /** The last call failed: it was said. */
  #away = false

  /** @param init `gateway`: name of this gateway among all of them */
  constructor(init: {
    scaling: Pick<ClientOf<ScalingServiceService>, 'demand'>
    gateway: string
    ports: { readonly clock: Clock; readonly logger: Logger }
  }) {
    this.#scaling = init.scaling
    this.#gateway = init.gateway
    this.#ports = init.ports
  }

  demand(about: Demand): void {
    const { jobId, queued } = about
    const nowMs = this.#ports.clock.monotonicMs()
    const last = this.#told.get(jobId)
    if (last?.running === true) return
    if (last !== undefined && queued > 1 && nowMs - last.atMs < EVERY_MS) return
    if (this.#told.size >= SERVICES_MAX) this.#forget()
    const told: Told = { atMs: nowMs, running: true }
    this.#told.set(jobId, told)
    this.#call(about).finally(() => {
      told.running = false
    })
  }

  async #call({ jobId, queued, oldestMs }: Demand): Promise<void> {
    const gateway = this.#gateway
    const request = { jobId, queued, oldestMs: BigInt(Math.round(oldestMs)), gateway }
    const { logger } = this.#ports
    try {
      await this.#scaling.demand(request, { timeoutMs: TIMEOUT_MS })
    } catch (error) {
      // It has not heard of the service yet.
      if (error instanceof RpcError && error.code === 'NOT_FOUND') return
      if (!this.#away)
        logger.log('warn', 'the autoscaler does not hear that requests are held', {
          error: error instanceof RpcError ? error.reason : String(error),
        })
      this.#away = true
      return
    }
    if (this.#away) logger.log('info', 'the autoscaler hears of held requests again')
    this.#away = false
  }

  #forget(): void {
    for (const [jobId, { running }] of this.#told) if (!running) this.#told.delete(jobId)
  }
}
