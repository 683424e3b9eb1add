/** The core on log time, without a log: commands, due timers, and the public events of it all. */
import { canonicalJson, type Decision } from '@serverless-ai/kernel'
import type { PublicDraft } from '@serverless-ai/runtime'
import { publish } from '../adapters/public-events.ts'
import { profilerDecider } from '../core/decider.ts'
import { digestOf } from '../core/histogram.ts'
import {
  commandOfTimer,
  type GangKey,
  type PlacedFact,
  type ProfilerCommand,
  type ProfilerEvent,
  type TaskUsage,
} from '../core/messages.ts'
import type { JobState, ProfilerState } from '../core/model.ts'

/** Noon of 22 November 2026 (UTC). */
export const NOON = 1_795_348_800_000

export const KEY: GangKey = { jobId: 'j-0-1', gang: 0, generation: 1 }

export const placed = (more: Partial<PlacedFact> = {}): PlacedFact => ({
  ...KEY,
  tenant: 'team-a',
  nodeOfRank: ['n1', 'n2'],
  devices: [0, 1],
  perTask: { devices: 1, cpuMillis: 500, memoryMib: 256 },
  ...more,
})

/** Ten seconds of a task that uses so much in each of them. */
export const usage = (
  toMs: number,
  cpu: readonly number[],
  more: Partial<TaskUsage> = {},
): TaskUsage => ({
  ...KEY,
  rank: 0,
  nodeId: 'n1',
  fromMs: toMs - cpu.length * 1_000,
  toMs,
  cpu: { digest: digestOf(cpu), source: 'procfs' },
  memory: { digest: digestOf(cpu.map(() => 100)), source: 'procfs' },
  ...more,
})

export class Stage {
  state: ProfilerState = profilerDecider.initial()
  atMs = NOON
  readonly events: { readonly event: ProfilerEvent; readonly atMs: number }[] = []
  readonly published: (PublicDraft & { readonly atMs: number })[] = []
  readonly timers = new Map<string, number>()
  #nonce = 0

  decide(command: ProfilerCommand): Decision<ProfilerEvent> {
    this.#nonce += 1
    const nonce = this.#nonce.toString(16).padStart(32, '0')
    return profilerDecider.decide(command, this.state, { atMs: this.atMs, nonce })
  }

  /** Carries a command out. @throws when it is refused */
  tell(command: ProfilerCommand): readonly ProfilerEvent[] {
    const decision = this.decide(command)
    if (!decision.accepted) throw new Error(JSON.stringify(decision.refusal))
    for (const event of decision.events) this.fold(event)
    for (const key of decision.cancelTimers ?? []) this.timers.delete(key)
    for (const { key, dueMs } of decision.timers ?? []) this.timers.set(key, dueMs)
    return decision.events
  }

  fold(event: ProfilerEvent): void {
    this.state = profilerDecider.evolve(this.state, event, this.atMs)
    this.events.push({ event, atMs: this.atMs })
    for (const draft of publish(event, this.state, this.atMs)) {
      this.published.push({ ...draft, atMs: this.atMs })
    }
  }

  /** Lets time pass; timers ring when they are due, one after another. */
  pass(ms: number): this {
    const untilMs = this.atMs + ms
    for (;;) {
      const due = [...this.timers].sort((a, b) => a[1] - b[1])[0]
      if (due === undefined || due[1] > untilMs) break
      this.timers.delete(due[0])
      this.atMs = Math.max(this.atMs, due[1])
      this.tell(commandOfTimer(due[0]))
    }
    this.atMs = untilMs
    return this
  }

  /** A job of two tasks that are placed now and run a second later. */
  begin(): void {
    const about = { jobId: KEY.jobId, tenant: 'team-a', name: 'train', queue: 'q' }
    this.tell({ type: 'NoteJob', ...about, ended: false })
    this.tell({ type: 'NotePlaced', placed: placed() })
    this.pass(1_000)
    for (const rank of [0, 1]) {
      this.tell({ type: 'NoteStarted', key: KEY, rank, startedMs: this.atMs })
    }
  }

  end(): void {
    const about = { jobId: KEY.jobId, tenant: 'team-a', name: 'train', queue: 'q' }
    this.tell({ type: 'NoteJob', ...about, ended: true })
  }

  step(step: number, atMs = this.atMs): void {
    this.tell({ type: 'NoteStep', key: KEY, rank: 0, step, atMs })
  }

  get job(): JobState {
    const found = this.state.jobs.get(KEY.jobId)
    if (found === undefined) throw new Error('no job')
    return found
  }

  json(): string {
    return canonicalJson(profilerDecider.toJson(this.state))
  }
}
