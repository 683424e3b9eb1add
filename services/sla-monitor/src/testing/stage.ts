/** The core on log time, without a log: commands, due timers, and the public events of it all. */
import { canonicalJson, type Decision, type Refusal } from '@serverless-ai/kernel'
import type { PublicDraft } from '@serverless-ai/runtime'
import { publish } from '../adapters/public-events.ts'
import { slaDecider } from '../core/decider.ts'
import {
  type BatchFacts,
  commandOfTimer,
  type RequestFact,
  type SlaCommand,
  type SlaEvent,
} from '../core/messages.ts'
import type { ObjectiveState, ObjectiveWish, SlaState } from '../core/model.ts'

/** Midnight of 22 November 2026 (UTC). */
export const DAY_0 = 1_795_305_600_000

/** An objective of requests: 99 % within 200 ms, end to end, over an hour. */
export const wish = (more: Partial<ObjectiveWish> = {}): ObjectiveWish => ({
  name: 'fast',
  tenant: 'team-a',
  indicator: 'e2e',
  service: '',
  class: '',
  queue: '',
  targetPpm: 990_000,
  thresholdUs: 200_000,
  windowMs: 3_600_000,
  excludeShed: false,
  countCallerErrors: false,
  minSample: 10,
  expectedPerHour: 0,
  rules: [],
  actions: [],
  maintenance: [],
  ...more,
})

export const request = (atMs: number, more: Partial<RequestFact> = {}): RequestFact => ({
  jobId: 'j-0-1',
  tenant: 'team-a',
  class: 'interactive',
  outcome: 'ok',
  atMs,
  ttftUs: 20_000,
  tpotUs: 5_000,
  e2eUs: 100_000,
  ...more,
})

export const batch = (seq: number, atMs: number, more: Partial<BatchFacts> = {}): BatchFacts => ({
  source: 'gateway/r1',
  bootId: 'b1',
  seq,
  sentMs: atMs,
  newestMs: atMs,
  dropped: 0,
  rejected: 0,
  busy: false,
  requests: [],
  ...more,
})

export class Stage {
  state: SlaState = slaDecider.initial()
  atMs: number
  /** Keep what happened; switched off for long runs. */
  readonly keeps: boolean
  readonly events: { readonly event: SlaEvent; readonly atMs: number }[] = []
  readonly published: (PublicDraft & { readonly atMs: number })[] = []
  readonly timers = new Map<string, number>()
  #nonce = 0

  constructor(atMs = DAY_0 + 36_000_000, keeps = true) {
    this.atMs = atMs
    this.keeps = keeps
  }

  decide(command: SlaCommand): Decision<SlaEvent> {
    this.#nonce += 1
    const nonce = this.#nonce.toString(16).padStart(9, '0').padEnd(32, '0')
    return slaDecider.decide(command, this.state, { atMs: this.atMs, nonce })
  }

  /** Carries a command out. @throws when it is refused */
  tell(command: SlaCommand): readonly SlaEvent[] {
    const decision = this.decide(command)
    if (!decision.accepted) throw new Error(JSON.stringify(decision.refusal))
    for (const event of decision.events) this.fold(event)
    for (const key of decision.cancelTimers ?? []) this.timers.delete(key)
    for (const { key, dueMs } of decision.timers ?? []) this.timers.set(key, dueMs)
    return decision.events
  }

  fold(event: SlaEvent): void {
    this.state = slaDecider.evolve(this.state, event, this.atMs)
    if (!this.keeps) return
    this.events.push({ event, atMs: this.atMs })
    for (const draft of publish(event, this.state, this.atMs)) {
      this.published.push({ ...draft, atMs: this.atMs })
    }
  }

  refused(command: SlaCommand): Refusal {
    const decision = this.decide(command)
    if (decision.accepted) throw new Error(`${command.type} was not refused`)
    return decision.refusal
  }

  /** Lets time pass; timers ring when they are due, one after another. */
  pass(ms: number): this {
    const untilMs = this.atMs + ms
    for (;;) {
      let next: [string, number] | undefined
      for (const timer of this.timers) if (next === undefined || timer[1] < next[1]) next = timer
      if (next === undefined || next[1] > untilMs) break
      this.timers.delete(next[0])
      this.atMs = Math.max(this.atMs, next[1])
      this.tell(commandOfTimer(next[0]))
    }
    this.atMs = untilMs
    return this
  }

  /** The clock jumps: what is due rings then. */
  jump(ms: number): this {
    this.atMs += ms
    return this.pass(0)
  }

  create(more: Partial<ObjectiveWish> = {}): string {
    const [event] = this.tell({ type: 'CreateObjective', caller: '', wish: wish(more) })
    if (event?.type !== 'ObjectiveDeclared') throw new Error('not declared')
    return event.objective.objectiveId
  }

  of(objectiveId: string): ObjectiveState {
    const found = this.state.objectives.get(objectiveId)
    if (found === undefined) throw new Error(`no ${objectiveId}`)
    return found
  }

  /** Events of a type, newest last. */
  told<T extends SlaEvent['type']>(type: T): readonly Extract<SlaEvent, { type: T }>[] {
    return this.events.flatMap(({ event }) => (event.type === type ? [event as never] : []))
  }

  json(): string {
    return canonicalJson(slaDecider.toJson(this.state))
  }
}
