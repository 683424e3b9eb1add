import { FairQueue, type GateRequest, type QueueLimits } from './fair-queue.ts'
import { type Replica, type ReplicaLimits, type ReplicaRoute, Replicas } from './replicas.ts'

/** What became of a request that came to the gate. */
export type Offer =
  | { readonly at: 'Given'; readonly replica: Replica }
  | { readonly at: 'Held'; readonly evicted: GateRequest | undefined }
  | {
      readonly at: 'Refused'
      readonly reason: 'TENANT_QUEUE_FULL' | 'SERVICE_QUEUE_FULL' | 'REQUEST_SHED'
    }

/** A held request whose turn has come. */
export interface Given {
  readonly request: GateRequest
  readonly replica: Replica
}

/**
 * The gate of one service: which request goes to which replica, and which waits. Pure: after each
 * change of replicas or of what they have, the caller takes what `next` gives.
 */
export class ServiceGate {
  readonly #queue: FairQueue
  readonly #replicas: Replicas
  /** Ranks from this one on are refused. */
  #shedFrom = Number.POSITIVE_INFINITY

  constructor(init: {
    limits: ReplicaLimits
    queue: QueueLimits
    weightOf?: (tenant: string) => number
  }) {
    this.#queue = new FairQueue(init.queue, init.weightOf)
    this.#replicas = new Replicas(init.limits)
  }

  get queue(): Pick<FairQueue, 'size' | 'tokens' | 'oldestMs'> {
    return this.#queue
  }

  get replicas(): Pick<Replicas, 'list' | 'inFlight' | 'any'> {
    return this.#replicas
  }

  limit(limits: ReplicaLimits): void {
    this.#replicas.limit(limits)
  }

  replace(routes: readonly ReplicaRoute[]): void {
    this.#replicas.replace(routes)
  }

  /**
   * Refuses this rank and all below it from now on, whether there is room or not; undefined = none.
   * Answers those that waited and do not any more.
   */
  shed(fromRank: number | undefined): readonly GateRequest[] {
    this.#shedFrom = fromRank ?? Number.POSITIVE_INFINITY
    return this.#queue.removeFrom(this.#shedFrom)
  }

  /** A request comes. It overtakes nobody who waits but those of lower classes. */
  offer(request: GateRequest, nowMs: number): Offer {
    if (request.rank >= this.#shedFrom) return { at: 'Refused', reason: 'REQUEST_SHED' }
    const { topRank } = this.#queue
    if (topRank === undefined || request.rank < topRank) {
      const replica = this.#replicas.pick(request, nowMs)
      if (replica !== undefined) {
        this.#give(request, replica)
        return { at: 'Given', replica }
      }
    }
    return this.#queue.hold(request)
  }

  /**
   * A request that its replica did not take waits again, before those that came later: limits are
   * for newcomers. False = its class is refused by now. `done` has released the replica.
   */
  putBack(request: GateRequest): boolean {
    if (request.rank >= this.#shedFrom) return false
    this.#queue.putBack(request)
    return true
  }

  /** The next held request that can go; call again until there is none. */
  next(nowMs: number): Given | undefined {
    const request = this.#queue.peek()
    if (request === undefined) return undefined
    const replica = this.#replicas.pick(request, nowMs)
    if (replica === undefined) return undefined
    this.#queue.remove(request.id)
    this.#give(request, replica)
    return { request, replica }
  }

  /**
   * Another replica for a request that one could not take; the one it had is released by `done`.
   */
  another(request: GateRequest, nowMs: number, avoid: ReadonlySet<string>): Replica | undefined {
    const replica = this.#replicas.pick(request, nowMs, avoid)
    if (replica !== undefined) this.#replicas.take(replica, request)
    return replica
  }

  /** Takes a held request away: its caller went, or its time is over. False = it is not held. */
  withdraw(id: number): boolean {
    return this.#queue.remove(id) !== undefined
  }

  /** A replica has no part in a request any more. */
  done(request: GateRequest, replica: Replica): void {
    this.#replicas.release(replica, request)
  }

  /** What a request has really cost its tenant. */
  correct(request: GateRequest, actualCost: number): void {
    this.#queue.correct(request, actualCost)
  }

  /** Answers for how long the replica gets nothing new, ms. */
  suspect(replica: Replica, nowMs: number): number {
    return this.#replicas.suspect(replica, nowMs)
  }

  answered(replica: Replica): void {
    this.#replicas.answered(replica)
  }

  #give(request: GateRequest, replica: Replica): void {
    this.#queue.charge(request)
    this.#replicas.take(replica, request)
  }
}
