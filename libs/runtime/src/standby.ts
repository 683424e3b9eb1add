/**
 * When a replica that does not lead claims the partition. Liveness only: whatever is decided here,
 * the order of the log says who leads. No ports: time and answers are handed in.
 */
import { createHash } from 'node:crypto'
import type { AppendTime } from './append-time.ts'
import type { LeaderHealthAnswer } from './types.ts'

/** Ranks are so far apart, ms. */
export const RANK_STEP_MS = 200
/** A leader that has written nothing for so long writes a tick, ms. */
export const TICK_AFTER_MS = 1000
/** A leader whose health is not answered for so long is not there, if it is silent too, ms. */
export const NO_ANSWER_MS = 2000
/** Standbys whose fetches have not reached the end of the log for so long know nothing, ms. */
const BLIND_AFTER_MS = 2000
/**
 * A leader is asked when nothing was heard of it for so long, ms: an effective record says more
 * than any answer, and a leader that is busy is never asked.
 */
export const ASK_AFTER_MS = 600
/** Pause from one question to the next, ms. */
export const ASK_EVERY_MS = 500
/** Longest wait of a fetch while the leader is heard: the next tick comes before, ms. */
const FETCH_MS = TICK_AFTER_MS + 250
/** And while it is silent, ms: silence is known that late. */
const SILENT_FETCH_MS = 250
/** Who has just won may not have read it yet and not know that it leads, ms. */
const NEW_LEADER_MS = 500
/** A replica whose clock differs leaves the others this much time, ms, plus two append times. */
const CLOCK_PENALTY_MS = 1500

/** A leader that answers but whose log is silent for so long has lost it, ms. */
export const hangMs = (appendMs: number): number => 3000 + 4 * appendMs
/** A leader that does not answer must have been silent for so long, ms. */
export const silenceMs = (appendMs: number): number => Math.max(2000, 3 * appendMs)

/** What the health service is asked for. */
export const claimName = (
  service: string,
  partition: number,
  claim: { readonly epoch: number; readonly claimId: string },
): string => `${service}/${partition}/${claim.epoch}/${claim.claimId}`

const weight = (partition: number, replica: string): string =>
  createHash('sha256').update(`${partition}/${replica}`).digest('hex')

/**
 * Place of a replica in the queue of those who may claim, from 0: by rendezvous hash over
 * (partition, replica), so that the partitions of a dead leader spread over the others. The last
 * leader stands behind them all.
 */
export function rankOf(
  replica: string,
  among: {
    readonly partition: number
    readonly replicas: readonly string[]
    readonly last: string
  },
): number {
  const { partition, replicas, last } = among
  const others = replicas.filter((one) => one !== last)
  if (replica === last) return others.length
  const own = weight(partition, replica)
  return others.filter((one) => weight(partition, one) < own).length
}

/** The claim that a standby follows. */
export interface FollowedClaim {
  readonly epoch: number
  /** False after a yield. */
  readonly open: boolean
  /** Who made it; empty = nobody ever did. */
  readonly replica: string
}

const NEVER = Number.POSITIVE_INFINITY

/** What a standby knows of the leader, and what follows from it. All times are monotonic ms. */
export class Standby {
  readonly #own: { readonly partition: number; readonly replicas: readonly string[] }
  readonly #replica: string
  readonly #append: AppendTime
  #claim: FollowedClaim = { epoch: 0, open: false, replica: '' }
  #rank = 0
  /** When the claim, or its yield, was learned. */
  #claimedMs = 0
  /** When the last effective record was read. */
  #heardMs = 0
  /** The log is known to have held nothing more at this time, and since when that is known. */
  #endMs = Number.NEGATIVE_INFINITY
  #endKnownMs = Number.NEGATIVE_INFINITY
  /** A question is on its way. */
  #asking = false
  /** When the first of the questions was asked that nobody has answered. */
  #unansweredMs: number | undefined
  /** When the leader was first said not to lead; until it is heard of again. */
  #goneMs: number | undefined
  /** The wall clock differs from the log: others go first. */
  clockDiffers = false

  constructor(
    init: {
      readonly partition: number
      readonly replica: string
      readonly replicas: readonly string[]
    },
    append: AppendTime,
  ) {
    this.#own = { partition: init.partition, replicas: init.replicas }
    this.#replica = init.replica
    this.#append = append
    this.#rank = this.#rankAfter('')
  }

  /** The claim that is followed; the same object until another one is. */
  get followed(): FollowedClaim {
    return this.#claim
  }

  /** The leader was said not to lead. */
  get leaderGone(): boolean {
    return this.#goneMs !== undefined
  }

  /** For how long the log is known to hold nothing new, ms. */
  get silentMs(): number {
    return Math.max(0, this.#endMs - this.#heardMs)
  }

  /** The log was folded to its end, from wherever: what was heard before is long ago. */
  caughtUp(claim: FollowedClaim, nowMs: number): void {
    this.#heardMs = nowMs
    this.#claimedMs = nowMs
    this.follow(claim, nowMs)
  }

  /** From now on this claim is followed; nothing changes when it is already. */
  follow(claim: FollowedClaim, nowMs: number): void {
    const { epoch, open } = this.#claim
    if (epoch === claim.epoch && open === claim.open) return
    this.#claim = claim
    this.#rank = this.#rankAfter(claim.replica)
    this.#claimedMs = nowMs
    this.#goneMs = undefined
    this.#asking = false
    this.#unansweredMs = undefined
  }

  /** An effective record of another process was read. */
  heard(kind: 'claim' | 'commit', nowMs: number): void {
    if (kind === 'commit') this.#append.observed(Math.max(0, this.silentMs - TICK_AFTER_MS))
    this.#heardMs = nowMs
    this.#goneMs = undefined
    this.#unansweredMs = this.#asking ? nowMs : undefined
  }

  /** A fetch that began at `sinceMs` found the end of the log. */
  reachedEnd(sinceMs: number, nowMs: number): void {
    this.#endMs = Math.max(this.#endMs, sinceMs)
    this.#endKnownMs = nowMs
  }

  /** The leader is asked for its health. */
  asked(nowMs: number): void {
    this.#asking = true
    this.#unansweredMs ??= nowMs
  }

  /** It answered the question of `askedMs`; undefined = it did not. */
  answered(answer: LeaderHealthAnswer | undefined, at: { askedMs: number; nowMs: number }): void {
    this.#asking = false
    if (answer === undefined) return
    this.#unansweredMs = undefined
    if (answer === 'serving') {
      this.#goneMs = undefined
      return
    }
    const graceMs = answer === 'refused' ? 0 : Math.max(NEW_LEADER_MS, 2 * this.#append.ms)
    // A record that was read since says that it was there after the question.
    if (at.askedMs < Math.max(this.#heardMs, this.#claimedMs + graceMs)) return
    this.#goneMs ??= at.nowMs
  }

  /** When to ask next, if the last question was asked at `askedMs`, ms. */
  nextQuestionMs(askedMs: number): number {
    return Math.max(this.#heardMs + ASK_AFTER_MS, askedMs + ASK_EVERY_MS)
  }

  /** How long a fetch may wait for more, ms. */
  fetchMs(nowMs: number): number {
    return nowMs - this.#heardMs < TICK_AFTER_MS ? FETCH_MS : SILENT_FETCH_MS
  }

  /** When it may claim, as far as is known: a time that may be past, or infinite. */
  claimAtMs(nowMs: number): number {
    const appendMs = this.#append.ms
    if (nowMs - this.#endKnownMs > BLIND_AFTER_MS + 2 * appendMs) return NEVER
    const penaltyMs = this.clockDiffers ? CLOCK_PENALTY_MS + 2 * appendMs : 0
    return this.#lostMs(appendMs, nowMs) + this.#rank * RANK_STEP_MS + penaltyMs
  }

  #rankAfter(last: string): number {
    return rankOf(this.#replica, { ...this.#own, last })
  }

  /** Since when there is no leader, by any of the signs. */
  #lostMs(appendMs: number, nowMs: number): number {
    if (!this.#claim.open) return this.#claimedMs
    const signs = [this.#goneMs ?? NEVER]
    const { silentMs } = this
    if (silentMs >= hangMs(appendMs)) signs.push(this.#heardMs + hangMs(appendMs))
    const unansweredMs = this.#unansweredMs ?? NEVER
    if (silentMs >= silenceMs(appendMs) && nowMs - unansweredMs >= NO_ANSWER_MS) {
      signs.push(Math.max(this.#heardMs + silenceMs(appendMs), unansweredMs + NO_ANSWER_MS))
    }
    return Math.min(...signs)
  }
}
