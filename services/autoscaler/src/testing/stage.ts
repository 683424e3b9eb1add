/** The core on log time, without a log: commands, effects, and a scheduler that can be told no. */
import { type Decision, type EffectRequest, type Json, type Refusal } from '@serverless-ai/kernel'
import { autoscalerDecider } from '../core/decider.ts'
import type {
  AutoscalerCommand,
  AutoscalerEvent,
  JobFact,
  ResizeOutcome,
  Signals,
} from '../core/messages.ts'
import type {
  AutoscalerState,
  ScaleDecision,
  ScaleView,
  ServiceFacts,
  Settings,
  Target,
} from '../core/model.ts'

/** Noon of 22 November 2026 (UTC). */
export const NOON = 1_795_348_800_000

export const settings = (more: Partial<Settings> = {}): Settings => ({
  policy: 'predictive',
  idleMs: 10_000,
  targetMilli: 0,
  capacityMilli: 10_000,
  ...more,
})

export const serviceFacts = (more: Partial<ServiceFacts> = {}): ServiceFacts => ({
  concurrency: 8,
  class: 'standard',
  devicesEach: 1,
  objectives: [],
  settings: settings(),
  ...more,
})

export const scale = (more: Partial<ScaleView> = {}): ScaleView => ({
  unit: 'replicas',
  min: 0,
  max: 4,
  wanted: 0,
  granted: 0,
  ready: 0,
  draining: 0,
  version: 1,
  owner: '',
  decisionId: '',
  changedMs: NOON,
  notBeforeMs: 0,
  ...more,
})

/** What gates tell of a service that has nothing to do. */
export const quiet = (jobId: string): Signals => ({
  jobId,
  came: [0, 100],
  held: [0, 100],
  inside: [0, 100],
  busy: [],
})

/** Requests that are held since a gate said so, and nothing else. */
export const held = (jobId: string, requests: number): Signals => ({
  jobId,
  held: [requests, 0],
  busy: ['gateway/r1'],
})

export interface Asked {
  readonly jobId: string
  readonly wanted: number
  readonly expectedVersion: number
  readonly decisionId: string
}

export class Stage {
  state: AutoscalerState = autoscalerDecider.initial()
  atMs = NOON
  stepMs = 1_000
  giveBackAfterMs = 30_000
  /** Undefined: as older steps were recorded. */
  longestMs: number | undefined = 3_600_000
  readonly events: { readonly event: AutoscalerEvent; readonly atMs: number }[] = []
  /** Calls of the scheduler that are not answered. */
  readonly asked = new Map<string, Asked>()
  #nonce = 0

  decide(command: AutoscalerCommand): Decision<AutoscalerEvent> {
    this.#nonce += 1
    const nonce = this.#nonce.toString(16).padStart(32, '0')
    return autoscalerDecider.decide(command, this.state, { atMs: this.atMs, nonce })
  }

  /** Carries a command out. @throws when it is refused */
  tell(command: AutoscalerCommand): readonly AutoscalerEvent[] {
    const decision = this.decide(command)
    if (!decision.accepted) throw new Error(JSON.stringify(decision.refusal))
    for (const event of decision.events) this.fold(event)
    for (const key of decision.settles ?? []) this.asked.delete(key)
    for (const effect of decision.effects ?? []) this.#ask(effect)
    return decision.events
  }

  #ask({ key, payload }: EffectRequest): void {
    if (this.asked.has(key)) throw new Error(`${key} is asked for twice`)
    this.asked.set(key, payload as Json & Asked)
  }

  fold(event: AutoscalerEvent): void {
    // What is folded is what stands in the log.
    const text = JSON.stringify(event)
    this.state = autoscalerDecider.evolve(this.state, JSON.parse(text), this.atMs)
    this.events.push({ event: JSON.parse(text), atMs: this.atMs })
  }

  refused(command: AutoscalerCommand): Refusal {
    const decision = this.decide(command)
    if (decision.accepted) throw new Error(`${command.type} was not refused`)
    return decision.refusal
  }

  of(jobId: string): Target {
    const found = this.state.targets.get(jobId)
    if (found === undefined) throw new Error(`no ${jobId}`)
    return found
  }

  node(nodeId: string, devices: number, ready = true): this {
    this.tell({ type: 'NoteNode', nodeId, node: { devices, ready } })
    return this
  }

  queue(queue = 'q', devicesMax = 0): this {
    this.tell({ type: 'NoteQueue', queue, devicesMax })
    return this
  }

  /** A service that the mediator and the scheduler have told. */
  service(jobId: string, more: Partial<ScaleView> = {}, facts: Partial<ServiceFacts> = {}): this {
    const service = serviceFacts(facts)
    this.tell({ type: 'DeclareService', jobId, tenant: 'team-a', name: `of-${jobId}`, service })
    return this.job(jobId, scale(more))
  }

  job(jobId: string, now: ScaleView | undefined, more: Partial<JobFact> = {}): this {
    const names = { jobId, tenant: 'team-a', queue: 'q', name: `of-${jobId}` }
    const base = { ...names, state: 'Running', generation: 1, waiting: '', ...more }
    this.tell({ type: 'NoteJob', job: now === undefined ? base : { ...base, scale: now } })
    return this
  }

  /** An elastic training job with a device for each task. */
  training(jobId: string, more: Partial<ScaleView> = {}): this {
    const now = scale({ unit: 'tasks', min: 1, max: 4, wanted: 2, granted: 2, ready: 2, ...more })
    this.job(jobId, now)
    return this.holds(jobId, now.granted)
  }

  /** A gang holds devices on a node. */
  holds(jobId: string, ranks: number, nodeId = 'n1', gang = 0, generation = 1): this {
    if (ranks === 0) return this
    const holding = { jobId, gang, generation, devicesEach: 1, ranks: [[nodeId, ranks]] as const }
    this.tell({ type: 'NotePlaced', holding })
    return this
  }

  step(...rows: readonly Signals[]): readonly ScaleDecision[] {
    this.atMs += this.stepMs
    const { stepMs, giveBackAfterMs, longestMs } = this
    const known = longestMs === undefined ? {} : { longestMs }
    const events = this.tell({ type: 'Step', rows, stepMs, giveBackAfterMs, ...known })
    return events.flatMap((event) => (event.type === 'ScaleDecided' ? [event.decision] : []))
  }

  /** The scheduler takes what it was asked; `granted`: how much of it. */
  grant(jobId: string, granted?: number): ScaleView {
    const { wanted, decisionId, expectedVersion } = this.#answered(jobId)
    const before = this.of(jobId).scale
    if (before === undefined) throw new Error('no scale')
    const now: ScaleView = {
      ...before,
      wanted,
      granted: granted ?? wanted,
      ready: Math.min(before.ready, granted ?? wanted),
      version: expectedVersion + 1,
      owner: 'autoscaler',
      decisionId,
      changedMs: this.atMs,
    }
    const waiting = now.granted < wanted ? 'CAPACITY_WAIT' : ''
    const outcome: ResizeOutcome = { at: 'Taken', scale: now, waiting }
    this.tell({ type: 'SettleResize', jobId, decisionId, outcome })
    return now
  }

  /** The scheduler says no. */
  refuse(jobId: string, code: string, numbers: Record<string, number> = {}): void {
    const { decisionId } = this.#answered(jobId)
    const outcome: ResizeOutcome = { at: 'Refused', code, numbers }
    this.tell({ type: 'SettleResize', jobId, decisionId, outcome })
  }

  #answered(jobId: string): Asked {
    const key = `resize:${jobId}`
    const found = this.asked.get(key)
    if (found === undefined) throw new Error(`nothing was asked for ${jobId}`)
    this.asked.delete(key)
    return found
  }

  json(): string {
    return JSON.stringify(autoscalerDecider.toJson(this.state))
  }
}
