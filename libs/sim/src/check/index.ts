/**
 * Independent checkers: they know nothing of the product's own state and share none of its rules.
 * Landed records go through an arbitration of their own; what is effective, and what is seen from
 * outside, goes to every checker.
 */
import { acknowledged } from './acknowledged.ts'
import { availability } from './availability.ts'
import { devices } from './devices.ts'
import { digests } from './digests.ts'
import { EffectiveLogs } from './effective-log.ts'
import { effects } from './effects.ts'
import { ends } from './ends.ts'
import { decodeBody } from './events.ts'
import { exclusive } from './exclusive.ts'
import { gangs } from './gangs.ts'
import { generations } from './generations.ts'
import { inputs } from './inputs.ts'
import { leaders } from './leaders.ts'
import { leases } from './leases.ts'
import { Ledger } from './ledger.ts'
import { placeText } from './names.ts'
import { processes } from './processes.ts'
import { quota } from './quota.ts'
import { reads } from './reads.ts'
import { recoverers } from './recoverers.ts'
import type { ClaimSeen, CommitSeen, EventSeen } from './seen.ts'
import { Topics } from './topic.ts'
import type { Alarm, Observation } from './types.ts'
import type { CheckerOptions, TellAlarm, Watcher, WatcherFactory } from './watcher.ts'

export type * from './types.ts'
export type { CheckerOptions } from './watcher.ts'

/** The checkers behind the arbitration, in the order in which they are told. */
const FACTORIES = {
  leaders,
  availability,
  acknowledged,
  reads,
  devices,
  processes,
  gangs,
  quota,
  generations,
  exclusive,
  leases,
  ends,
  digests,
  recoverers,
  effects,
  inputs,
} as const satisfies Readonly<Record<string, WatcherFactory>>

/** Names of all checkers, as alarms carry them. */
export const CHECKER_NAMES: readonly string[] = ['log', 'topic', ...Object.keys(FACTORIES)]

/** All checkers of one run. */
export interface Checkers {
  /** Takes what happened, in the order in which it happened. */
  observe(observation: Observation): void
  readonly names: readonly string[]
  /**
   * Effective commits so far, of all services, and effective claims by another replica than the one
   * that led before; the first claim of a service changes no leader.
   */
  readonly effective: { readonly leaderChanges: number; readonly commits: number }
}

const hasHook =
  <K extends keyof Watcher>(hook: K) =>
  (watcher: Watcher): watcher is Watcher & Required<Pick<Watcher, K>> =>
    watcher[hook] !== undefined

class Hub implements Checkers {
  readonly names = CHECKER_NAMES
  readonly effective = { leaderChanges: 0, commits: 0 }
  readonly #alarm: (alarm: Alarm) => void
  readonly #ledger = new Ledger()
  readonly #logs: EffectiveLogs
  readonly #topics: Topics
  readonly #claimed: readonly Required<Pick<Watcher, 'claimed'>>[]
  readonly #committed: readonly Required<Pick<Watcher, 'committed'>>[]
  readonly #events: readonly Required<Pick<Watcher, 'event'>>[]
  readonly #observers: readonly Required<Pick<Watcher, 'observe'>>[]
  readonly #tellLog: TellAlarm
  /** Service → replica of its newest effective claim. */
  readonly #leaders = new Map<string, string>()
  #nowMs = 0

  constructor(alarm: (alarm: Alarm) => void, options: CheckerOptions) {
    this.#alarm = alarm
    const ledger = this.#ledger
    this.#tellLog = this.#teller('log')
    const watchers = Object.entries(FACTORIES).map(([name, make]: [string, WatcherFactory]) =>
      make({ alarm: this.#teller(name), ledger, options }),
    )
    this.#claimed = watchers.filter(hasHook('claimed'))
    this.#committed = watchers.filter(hasHook('committed'))
    this.#events = watchers.filter(hasHook('event'))
    this.#observers = watchers.filter(hasHook('observe'))
    this.#topics = new Topics(this.#teller('topic'))
    this.#logs = new EffectiveLogs(this.#tellLog, {
      claimed: (claim) => this.#claim(claim),
      committed: (commit) => this.#commit(commit),
    })
  }

  #teller(checker: string): TellAlarm {
    return (about, message) => this.#alarm({ checker, atMs: this.#nowMs, about, message })
  }

  observe(observation: Observation): void {
    if (observation.kind === 'landed') {
      const { record } = observation
      this.#nowMs = record.atMs
      if (!this.#logs.landed(record)) this.#topics.landed(record)
      return
    }
    this.#nowMs = observation.atMs
    for (const watcher of this.#observers) watcher.observe(observation)
    this.#topics.observe(observation)
    this.#ledger.applyObservation(observation)
  }

  #claim(claim: ClaimSeen): void {
    const { service } = claim
    const { replica } = claim.claim
    if ((this.#leaders.get(service) ?? replica) !== replica) this.effective.leaderChanges += 1
    this.#leaders.set(service, replica)
    for (const watcher of this.#claimed) watcher.claimed(claim)
  }

  #commit(commit: CommitSeen): void {
    this.effective.commits += 1
    this.#topics.committed(commit)
    for (const watcher of this.#committed) watcher.committed(commit)
    this.#ledger.applyCommit(commit)
    const { service, position, landedMs } = commit
    for (const { seq, type, payload } of commit.commit.publics) {
      let event: EventSeen
      try {
        event = { service, position, landedMs, seq, commit, body: decodeBody(type, payload) }
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error)
        this.#tellLog(service, `${placeText(commit)}: ${type} ${seq} cannot be decoded: ${why}`)
        continue
      }
      for (const watcher of this.#events) watcher.event(event)
      this.#ledger.applyEvent(event)
    }
  }
}

/** Makes all checkers; `alarm` is called for each breach, at the moment it is seen. */
export function createCheckers(
  alarm: (alarm: Alarm) => void,
  options: Partial<CheckerOptions> = {},
): Checkers {
  return new Hub(alarm, { appendMs: 50, ...options })
}
