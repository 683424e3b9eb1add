import {
  type ArbitrationJson,
  type ArbitrationState,
  arbitrate,
  arbitrateBytes,
  arbitrationFromJson,
  arbitrationToJson,
  type Claim,
  initialArbitration,
  type LogRecord,
  type VoidJson,
  VoidList,
} from '@serverless-ai/eventlog'
import type { Json, Message } from '@serverless-ai/kernel'
import { decodeFacts, type EncodedCommit } from './codec.ts'
import { digestOf } from './digest.ts'
import type { CommitFacts, EventFact } from './facts.ts'
import { Framework, type FrameworkJson } from './framework.ts'
import { formatPosition } from './position.ts'
import type { PositionToken, ServiceDefinition } from './types.ts'

/** The leader's own commit in flight: its events are evolved already. */
export interface OwnCommit<E> extends EncodedCommit {
  readonly domain: readonly E[]
}

/** What a record came to. */
export type Applied<E> =
  | { readonly kind: 'skipped'; readonly claim: Claim | undefined }
  | { readonly kind: 'damaged'; readonly reason: string }
  | { readonly kind: 'claim'; readonly claim: Claim; readonly epoch: number }
  | { readonly kind: 'voided'; readonly isNew: boolean; readonly position: number }
  | {
      readonly kind: 'commit'
      readonly facts: CommitFacts
      readonly events: readonly E[]
      readonly own: boolean
    }

/** An effective record cannot be folded: the partition has to stop. */
export class FoldError extends Error {
  override readonly name = 'FoldError'
  readonly position: number
  constructor(position: number, cause: unknown) {
    const what = cause instanceof Error ? cause.message : String(cause)
    super(`record ${position} cannot be folded: ${what}`, { cause })
    this.position = position
  }
}

/** The last effective claim. */
export interface LastClaim {
  /** Empty = there was none, or it is not known. */
  readonly replica: string
  readonly address: string
  /** Hex. */
  readonly claimId: string
}

const NO_CLAIM: LastClaim = { replica: '', address: '', claimId: '' }

/** Content of a snapshot. */
export interface SnapshotContent {
  readonly format: 1
  readonly service: string
  readonly partition: number
  readonly position: number
  readonly effectivePosition: number
  readonly arbitration: ArbitrationJson
  readonly voids: readonly VoidJson[]
  /** Absent = not known (written by an older version). */
  readonly lastClaim?: LastClaim
  readonly framework: FrameworkJson
  readonly core: Json
  /** Digest of framework and core. */
  readonly digest: string
}

/** Folded state of a partition: arbitration, core, framework. */
export class Partition<S, C extends Message, E extends Message> {
  readonly #definition: ServiceDefinition<S, C, E>
  readonly #partition: number
  readonly voids: VoidList
  arbitration: ArbitrationState = initialArbitration
  core: S
  framework = new Framework()
  /** For whoever asks after the leader; no part of the digest. */
  lastClaim: LastClaim = NO_CLAIM
  /** Last record that was read, effective or not; -1 = none. */
  position = -1
  /** Last effective record; -1 = none. */
  effectivePosition = -1
  /** Where this state was found to differ from a digest in the log; empty = nowhere. */
  diverged = ''

  /** `voids`: those of the administrator that are known to lie ahead in the log. */
  constructor(
    definition: ServiceDefinition<S, C, E>,
    partition: number,
    voids: readonly VoidJson[] = [],
  ) {
    this.#definition = definition
    this.#partition = partition
    this.voids = VoidList.fromJson(voids)
    this.core = definition.decider.initial()
  }

  get token(): PositionToken {
    return this.tokenAt(this.effectivePosition, this.framework.publicSeq)
  }

  tokenAt(position: number, publicSeq: number): PositionToken {
    const service = this.#definition.name
    return formatPosition({ service, partition: this.#partition, position, publicSeq })
  }

  /**
   * Applies the next record. `own` is the commit in flight of this leader: when the record is that
   * commit, byte by byte, its events are not evolved again. Throws {@link FoldError}.
   */
  apply(record: LogRecord, own?: OwnCommit<E>): Applied<E> {
    const mine = own !== undefined && Buffer.compare(record.value, own.bytes) === 0
    const result = mine
      ? { ...arbitrate(this.arbitration, record.value, own.record), record: own.record }
      : arbitrateBytes(this.arbitration, record.value)
    if (result.verdict === 'damaged') return { kind: 'damaged', reason: result.reason }
    this.position = record.position
    const body = result.record?.body
    if (result.verdict === 'void' || body === undefined) {
      return { kind: 'skipped', claim: body?.$case === 'claim' ? body.value : undefined }
    }
    if (body.$case === 'void') {
      const isNew = this.voids.add(body.value)
      return { kind: 'voided', isNew, position: Number(body.value.position) }
    }
    this.arbitration = result.state
    const before = this.effectivePosition
    this.effectivePosition = record.position
    if (body.$case === 'claim') {
      const { replica, address, claimId } = body.value
      this.framework.leader = replica
      this.framework.leaderAddress = address
      this.lastClaim = { replica, address, claimId: Buffer.from(claimId).toString('hex') }
      return { kind: 'claim', claim: body.value, epoch: result.state.epoch }
    }
    try {
      if (mine) return this.#own(own, record.position)
      return this.#fold(decodeFacts(body.value), { record, before })
    } catch (error) {
      throw new FoldError(record.position, error)
    }
  }

  #own(own: OwnCommit<E>, position: number): Applied<E> {
    this.framework.apply(own.facts, position)
    return { kind: 'commit', facts: own.facts, events: own.domain, own: true }
  }

  #fold(facts: CommitFacts, at: { record: LogRecord; before: number }): Applied<E> {
    const { record, before } = at
    if (facts.runtime.length > 0) this.#compare(facts, before)
    const skipped = !this.voids.empty && this.voids.skips(record.position, record.value)
    const events = skipped ? [] : facts.events.map((event) => this.#event(event))
    for (const event of events) {
      this.core = this.#definition.decider.evolve(this.core, event, facts.atMs)
    }
    this.framework.apply(facts, record.position)
    return { kind: 'commit', facts, events, own: false }
  }

  /** A void changes the state on purpose: from then on the digests of before do not hold. */
  #compare(facts: CommitFacts, before: number): void {
    for (const fact of facts.runtime) {
      if (fact.type !== 'StateDigest' || fact.position !== before) continue
      if (fact.schemaVersion !== this.#definition.schemaVersion || !this.voids.empty) continue
      if (fact.digest !== this.digest()) this.diverged = `digest at position ${before}`
    }
  }

  #event(fact: EventFact): E {
    const data = JSON.parse(fact.data)
    return this.#definition.upcast?.(fact.type, fact.version, data) ?? data
  }

  /** Digest of framework and core, hex. */
  digest(): string {
    const core = this.#definition.decider.toJson(this.core)
    return digestOf({ framework: this.framework.toJson(), core })
  }

  toSnapshot(): SnapshotContent {
    const framework = this.framework.toJson()
    const core = this.#definition.decider.toJson(this.core)
    return {
      format: 1,
      service: this.#definition.name,
      partition: this.#partition,
      position: this.position,
      effectivePosition: this.effectivePosition,
      arbitration: arbitrationToJson(this.arbitration),
      voids: this.voids.toJson(),
      lastClaim: this.lastClaim,
      framework,
      core,
      digest: digestOf({ framework, core }),
    }
  }

  static fromSnapshot<S, C extends Message, E extends Message>(
    definition: ServiceDefinition<S, C, E>,
    content: SnapshotContent,
    voids: readonly VoidJson[] = [],
  ): Partition<S, C, E> {
    const state = new Partition(definition, content.partition, [...content.voids, ...voids])
    state.arbitration = arbitrationFromJson(content.arbitration)
    state.framework = Framework.fromJson(content.framework)
    state.core = definition.decider.fromJson(content.core)
    state.lastClaim = content.lastClaim ?? NO_CLAIM
    state.position = content.position
    state.effectivePosition = content.effectivePosition
    return state
  }
}
