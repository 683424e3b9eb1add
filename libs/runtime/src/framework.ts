/**
 * The part of a partition's state that the runtime keeps itself: folded from the same commits,
 * alike by every reader.
 */
import { invariant, type Json } from '@serverless-ai/kernel'
import { AnswersTable, type KeptAnswerJson } from './answers.ts'
import type {
  CommitFacts,
  Mark,
  ParkedFact,
  PublicFact,
  RuntimeFact,
  StoredEvent,
} from './facts.ts'
import { keptMilestones, type Milestone } from './retention.ts'

/** The last ones of what was parked are kept with their content; the rest is in the log. */
export const PARKED_KEPT_MAX = 100

/** An effect that is not settled. */
export interface OpenEffect {
  /** Counts up; tells two effects of one key apart. */
  readonly id: number
  readonly key: string
  readonly kind: string
  readonly payload: Json
  /** Log time at which it was decided. */
  readonly atMs: number
}

/** A public event that is not known to be published. */
export interface Unpublished extends PublicFact {
  readonly atMs: number
  /** Position of its commit. */
  readonly position: number
}

/** How far the events topic is known to hold the public events. */
export interface PublishedThrough {
  readonly seq: number
  readonly offset: number
  readonly position: number
}

/** Pages of a running bootstrap. */
export interface Shadow {
  readonly id: string
  readonly pages: number
  readonly events: readonly StoredEvent[]
}

/** A snapshot that was read back and compared. */
export interface VerifiedSnapshot {
  readonly name: string
  readonly position: number
  readonly digest: string
}

/** Framework state in snapshots. */
export interface FrameworkJson {
  readonly lastAtMs: number
  readonly publicSeq: number
  readonly leader: string
  readonly leaderAddress: string
  readonly featureLevel: number
  readonly nextEffectId: number
  readonly commitsSinceDigest: number
  readonly parkedCount: number
  readonly published: PublishedThrough
  readonly answers: readonly KeptAnswerJson[]
  readonly marks: readonly Mark[]
  readonly effects: readonly OpenEffect[]
  readonly timers: readonly (readonly [string, number])[]
  readonly unpublished: readonly (Omit<Unpublished, 'payload'> & { readonly payload: string })[]
  readonly parked: readonly ParkedFact[]
  readonly shadows: readonly (readonly [string, Shadow])[]
  readonly verified: readonly VerifiedSnapshot[]
  /** Absent = none: a log without them has the digests it always had. */
  readonly milestones?: readonly Milestone[]
}

/** Key of a source. */
export const sourceKey = (source: string, partition: number): string => `${source}/${partition}`

/** Framework state of a partition. Changed by `apply` only. */
export class Framework {
  lastAtMs = 0
  publicSeq = 0
  /** Replica that opened the epoch; empty = none, or it has yielded. */
  leader = ''
  leaderAddress = ''
  featureLevel = 0
  nextEffectId = 1
  commitsSinceDigest = 0
  parkedCount = 0
  published: PublishedThrough = { seq: 0, offset: 0, position: -1 }
  answers = new AnswersTable()
  readonly marks = new Map<string, Mark>()
  readonly effects = new Map<string, OpenEffect>()
  readonly timers = new Map<string, number>()
  unpublished: Unpublished[] = []
  parked: ParkedFact[] = []
  readonly shadows = new Map<string, Shadow>()
  /** The two newest, newest first. */
  verified: readonly VerifiedSnapshot[] = []
  /** Verified snapshots that bound the age of what is before them, oldest first. */
  milestones: readonly Milestone[] = []

  /** Nothing was ever written: no older version has to be able to go on here. */
  get pristine(): boolean {
    const { answers, marks, effects, timers, parkedCount } = this
    const tables = answers.size + marks.size + effects.size + timers.size + parkedCount
    return tables + this.publicSeq === 0 && this.featureLevel === 0 && this.nextEffectId === 1
  }

  /** Folds an effective commit. */
  apply(commit: CommitFacts, position: number): void {
    this.lastAtMs = Math.max(this.lastAtMs, commit.atMs)
    for (const event of commit.publics) {
      invariant(event.seq === this.publicSeq + 1, `public seq ${event.seq} is not the next one`)
      this.publicSeq = event.seq
      this.unpublished.push({ ...event, atMs: commit.atMs, position })
    }
    for (const mark of commit.inputs) this.marks.set(sourceKey(mark.source, mark.partition), mark)
    const at = { position, publicSeq: this.publicSeq }
    for (const answer of commit.answers) this.answers.put(answer, at)
    this.answers.prune(this.lastAtMs)
    this.commitsSinceDigest += 1
    for (const fact of commit.runtime) this.#fold(fact)
    if (commit.kind === 'yield') {
      this.leader = ''
      this.leaderAddress = ''
    }
  }

  #fold(fact: RuntimeFact): void {
    switch (fact.type) {
      case 'EffectAdded': {
        const { key, kind, payload } = fact
        invariant(!this.effects.has(key), `effect '${key}' is not settled yet`)
        this.effects.set(key, { id: this.nextEffectId, key, kind, payload, atMs: this.lastAtMs })
        this.nextEffectId += 1
        return
      }
      case 'EffectSettled':
        this.effects.delete(fact.key)
        return
      case 'TimerSet':
        this.timers.set(fact.key, fact.dueMs)
        return
      case 'TimerCleared':
        this.timers.delete(fact.key)
        return
      case 'PublishedThrough':
        this.published = { seq: fact.seq, offset: fact.offset, position: fact.position }
        // Seqs are dense.
        this.unpublished.splice(0, fact.seq - (this.unpublished[0]?.seq ?? fact.seq + 1) + 1)
        return
      case 'InputParked':
        this.parkedCount += 1
        this.parked = [...this.parked, fact].slice(-PARKED_KEPT_MAX)
        return
      case 'BootstrapPage':
        this.#page(fact)
        return
      case 'BootstrapDone':
        this.shadows.delete(sourceKey(fact.source, fact.partition))
        return
      case 'SnapshotVerified': {
        const { name, position, digest } = fact
        this.verified = [{ name, position, digest }, ...this.verified].slice(0, 2)
        this.#milestone(fact)
        return
      }
      case 'StateDigest':
        this.commitsSinceDigest = 0
        return
      case 'FeatureLevelRaised':
        this.featureLevel = Math.max(this.featureLevel, fact.level)
    }
  }

  #milestone(fact: Extract<RuntimeFact, { type: 'SnapshotVerified' }>): void {
    const { name, position, retentionMs } = fact
    const last = this.milestones.at(-1)?.position ?? -1
    // Two that were written at once may be verified in any order.
    if (retentionMs === undefined || position <= last) return
    const { seq, offset } = this.published
    const eventsOffset = seq === 0 ? -1 : offset
    const one = { name, position, atMs: this.lastAtMs, eventsOffset }
    const options = { retentionMs, nowMs: this.lastAtMs }
    this.milestones = keptMilestones([...this.milestones, one], options)
  }

  #page(fact: Extract<RuntimeFact, { type: 'BootstrapPage' }>): void {
    const key = sourceKey(fact.source, fact.partition)
    if (fact.page === 0) {
      this.shadows.set(key, { id: fact.id, pages: 1, events: fact.events })
      return
    }
    const shadow = this.shadows.get(key)
    invariant(
      shadow !== undefined && shadow.id === fact.id && shadow.pages === fact.page,
      `page ${fact.page} of bootstrap ${fact.id} is not the next one`,
    )
    const { id, pages, events } = shadow
    this.shadows.set(key, { id, pages: pages + 1, events: [...events, ...fact.events] })
  }

  toJson(): FrameworkJson {
    const { lastAtMs, publicSeq, leader, leaderAddress, featureLevel, nextEffectId } = this
    return {
      lastAtMs,
      publicSeq,
      leader,
      leaderAddress,
      featureLevel,
      nextEffectId,
      commitsSinceDigest: this.commitsSinceDigest,
      parkedCount: this.parkedCount,
      published: this.published,
      answers: this.answers.toJson(),
      marks: [...this.marks.values()],
      effects: [...this.effects.values()],
      timers: [...this.timers],
      unpublished: this.unpublished.map((event) => ({
        ...event,
        payload: Buffer.from(event.payload).toString('base64'),
      })),
      parked: this.parked,
      shadows: [...this.shadows],
      verified: this.verified,
      ...(this.milestones.length === 0 ? {} : { milestones: this.milestones }),
    }
  }

  static fromJson(json: FrameworkJson): Framework {
    const state = new Framework()
    state.lastAtMs = json.lastAtMs
    state.publicSeq = json.publicSeq
    state.leader = json.leader
    state.leaderAddress = json.leaderAddress
    state.featureLevel = json.featureLevel
    state.nextEffectId = json.nextEffectId
    state.commitsSinceDigest = json.commitsSinceDigest
    state.parkedCount = json.parkedCount
    state.published = json.published
    state.answers = AnswersTable.fromJson(json.answers)
    for (const mark of json.marks) state.marks.set(sourceKey(mark.source, mark.partition), mark)
    for (const effect of json.effects) state.effects.set(effect.key, effect)
    for (const [key, dueMs] of json.timers) state.timers.set(key, dueMs)
    state.unpublished = json.unpublished.map((event) => ({
      ...event,
      payload: Buffer.from(event.payload, 'base64'),
    }))
    state.parked = [...json.parked]
    for (const [key, shadow] of json.shadows) state.shadows.set(key, shadow)
    state.verified = json.verified
    state.milestones = json.milestones ?? []
    return state
  }
}
