/** The steps of a cell, told by hand: each is committed by its owner and told to the checkers. */
import {
  CheckpointRegistered,
  IncidentChanged,
} from '@serverless-ai/contracts/events/v1/fault_tolerance'
import { JobSubmitted, LaunchPrepared } from '@serverless-ai/contracts/events/v1/mediator'
import {
  DevicesFreed,
  NodeChanged,
  NodeLost,
  TaskExited,
  TaskReported,
  TaskStarted,
} from '@serverless-ai/contracts/events/v1/pool_manager'
import {
  GangPlaced,
  GangReleased,
  JobStateChanged,
  QueueChanged,
} from '@serverless-ai/contracts/events/v1/scheduler'
import { Device, Inventory, Node, Node_State } from '@serverless-ai/contracts/pool/v1/pool'
import { SERVICES } from '../names.ts'
import type { TaskKey } from '../types.ts'
import { Logs, type PublicDraft } from './logs.ts'

/** Where a generation goes: per rank its node and its devices. */
export type Ranks = readonly (readonly [node: string, ...devices: readonly number[]])[]

const TYPES = 'serverlessai.events.v1.'
type Service = (typeof SERVICES)[keyof typeof SERVICES]

/** What each service listens to. */
const SOURCES: Readonly<Record<Service, readonly Service[]>> = {
  mediator: ['scheduler', 'pool-manager', 'fault-tolerance'],
  scheduler: ['pool-manager'],
  'pool-manager': ['scheduler', 'mediator'],
  'fault-tolerance': ['mediator', 'scheduler', 'pool-manager'],
}

/** The generation of a task. */
export interface Gen {
  readonly jobId: string
  readonly gang: number
  readonly generation: number
}

/** Tells a cell. Every step is committed by its owner, who has read all that was said before. */
export class Cell extends Logs {
  readonly #tasks = new Map<string, { tasks: number; exclusive: boolean; devices: number }>()
  readonly #ranks = new Map<string, Ranks>()

  /** Marks of all that a service may know by now. */
  marks(service: Service): Record<string, number> {
    return Object.fromEntries(SOURCES[service].map((name) => [name, this.log(name).publicSeq]))
  }

  #say(service: Service, name: string, key: string, payload: Uint8Array): number {
    const publics: PublicDraft[] = [{ type: `${TYPES}${name}`, key, payload }]
    return this.commit(service, { publics, marks: this.marks(service) })
  }

  queue(name: string, maximumDevices: number): void {
    const maximum = { devices: maximumDevices, cpuMillis: 0n, memoryMib: 0n }
    const queue = { name, tenant: 'lab', weight: 1, priority: 0, maximum }
    this.#say('scheduler', 'QueueChanged', name, QueueChanged.encode({ queue }).finish())
  }

  node(nodeId: string, state: 'READY' | 'DISCONNECTED' | 'LOST' = 'READY', devices = 4): void {
    const device = (index: number): Device => ({
      ...Device.fromPartial({ model: 'H200', healthy: true }),
      index,
    })
    const inventory: Inventory = {
      ...Inventory.fromPartial({ cpuMillis: 8_000n, memoryMib: 8_000n }),
      devices: Array.from({ length: devices }, (_, index) => device(index)),
    }
    const node: NodeChanged = {
      node: { ...Node.fromPartial({ nodeId, state: Node_State[state] }), inventory },
      cause: '',
    }
    this.#say('pool-manager', 'NodeChanged', nodeId, NodeChanged.encode(node).finish())
  }

  nodeLost(nodeId: string): void {
    const lost = NodeLost.fromPartial({ nodeId })
    this.#say('pool-manager', 'NodeLost', nodeId, NodeLost.encode(lost).finish())
  }

  /** Submitted by a user, taken by both services, and answered. */
  submit(jobId = 'j1', more: { tasks?: number; exclusive?: boolean; queue?: string } = {}): void {
    const requestId = `request-${jobId}`
    this.take(jobId, requestId)
    this.queueJob(jobId, more)
    this.enqueued(jobId)
    this.answer(requestId, jobId)
  }

  take(jobId: string, requestId: string): number {
    return this.commit('mediator', {
      events: [{ type: 'JobSubmitted', jobId, requestId }],
      answers: [{ requestId, outcome: { ok: true, value: { jobId } } }],
      runtime: [{ type: 'EffectAdded', key: `enqueue:${jobId}`, kind: 'enqueue', payload: {} }],
    })
  }

  queueJob(
    jobId: string,
    more: { tasks?: number; exclusive?: boolean; queue?: string; devices?: number } = {},
  ): void {
    const { tasks = 2, exclusive = false, queue = 'q', devices = 1 } = more
    this.#tasks.set(jobId, { tasks, exclusive, devices })
    const perTask = { devices, cpuMillis: 1_000, memoryMib: 1_000 }
    const job = { jobId, queue, gang: { tasks, perTask, rank0Ports: 1, exclusive } }
    this.commit('scheduler', {
      events: [{ type: 'JobQueued', job }],
      publics: [this.#state(jobId, 'Queued', 0)],
    })
  }

  enqueued(jobId: string): void {
    const payload = JobSubmitted.encode(JobSubmitted.fromPartial({ jobId })).finish()
    this.commit('mediator', {
      events: [{ type: 'JobEnqueued', jobId }],
      publics: [{ type: `${TYPES}JobSubmitted`, key: jobId, payload }],
      runtime: [{ type: 'EffectSettled', key: `enqueue:${jobId}` }],
    })
  }

  answer(
    requestId: string,
    jobId: string,
    more: {
      ok?: boolean
      reason?: string
      position?: string
      call?: 'submit' | 'cancel' | 'reuse'
    } = {},
  ): void {
    const { ok = true, reason = '', call = 'submit' } = more
    const position = more.position ?? `mediator:0:${this.log('mediator').end - 1}:0`
    const answer = { requestId, call, jobId, ok, reason, position }
    this.observe({ kind: 'answered', atMs: this.nowMs, ...answer })
  }

  read(jobId: string, state: string, more: { position?: string; found?: boolean } = {}): void {
    const minPosition = more.position ?? `mediator:0:${this.log('mediator').end - 1}:0`
    const found = more.found ?? true
    this.observe({ kind: 'read', atMs: this.nowMs, jobId, found, state, minPosition })
  }

  watch(jobId: string, state: string, watch = 'w1'): void {
    this.observe({ kind: 'watched', atMs: this.nowMs, jobId, watch, state })
  }

  /** A request that is refused in the mediator's log. */
  refuse(requestId: string, reason: string): void {
    const outcome = { ok: false, refusal: { reason } }
    this.commit('mediator', { answers: [{ requestId, outcome }] })
  }

  #state(jobId: string, state: string, generation: number): PublicDraft {
    const value = JobStateChanged.fromPartial({ jobId, state, generation })
    const payload = JobStateChanged.encode(value).finish()
    return { type: `${TYPES}JobStateChanged`, key: jobId, payload }
  }

  /** The scheduler tells a state, and the mediator shows it. */
  state(jobId: string, state: string, generation = 1): void {
    const type = `Job${state}`
    const events = ['Succeeded', 'Cancelled'].includes(state) ? [{ type, jobId }] : []
    const marks = this.marks('scheduler')
    this.commit('scheduler', { events, publics: [this.#state(jobId, state, generation)], marks })
    this.shown(jobId, state)
  }

  shown(jobId: string, state: string): void {
    this.commit('mediator', { events: [{ type: 'JobStateObserved', view: { jobId, state } }] })
  }

  place(of: Gen, ranks: Ranks, more: { change?: Partial<GangPlaced>; mark?: number } = {}): void {
    const { jobId } = of
    const { exclusive = false, devices = 1 } = this.#tasks.get(jobId) ?? {}
    const nodes = [...new Set(ranks.map(([node]) => node))]
    const value = GangPlaced.fromPartial({
      ...of,
      nodes,
      nodeOfRank: ranks.map(([node]) => nodes.indexOf(node)),
      deviceIndexes: ranks.flatMap(([, ...indexes]) => indexes),
      rank0Ports: [30_000 + this.log('scheduler').end],
      perTask: { devices, cpuMillis: 1_000n, memoryMib: 1_000n },
      exclusive,
      ...more.change,
    })
    this.#ranks.set(`${jobId}/${of.generation}`, ranks)
    const payload = GangPlaced.encode(value).finish()
    const marks = { 'pool-manager': more.mark ?? this.log('pool-manager').publicSeq }
    const publics = [{ type: `${TYPES}GangPlaced`, key: jobId, payload }]
    this.commit('scheduler', { publics, marks })
  }

  launch(of: Gen): void {
    const payload = LaunchPrepared.encode(LaunchPrepared.fromPartial(of)).finish()
    this.#say('mediator', 'LaunchPrepared', of.jobId, payload)
  }

  /** A process really begins, and the pool manager is told of it. */
  start(of: Gen, rank: number): void {
    this.begin({ ...of, rank })
    this.told('TaskStarted', of, rank)
  }

  /** A process really begins. */
  begin(key: TaskKey, more: { node?: string; devices?: readonly number[] } = {}): void {
    const [own, ...given] = this.ranksOf(key)[key.rank] ?? ['?']
    const { exclusive = false } = this.#tasks.get(key.jobId) ?? {}
    const node = more.node ?? own
    const devices = more.devices ?? given
    this.nowMs += 1
    this.observe({ kind: 'task-started', atMs: this.nowMs, node, key, devices, exclusive })
  }

  /** A process really ends; `SIGTERM` = its node asked it to. */
  end(key: TaskKey, cause = 'exit 0'): void {
    const [node] = this.ranksOf(key)[key.rank] ?? ['?']
    this.nowMs += 1
    this.observe({ kind: 'task-ended', atMs: this.nowMs, node, key, cause })
  }

  /** The pool manager tells of a task. */
  told(name: 'TaskStarted' | 'TaskExited' | 'TaskReported', of: Gen, rank: number): void {
    const value = { ...of, rank }
    const payload = {
      TaskStarted: () => TaskStarted.encode(TaskStarted.fromPartial(value)).finish(),
      TaskExited: () => TaskExited.encode(TaskExited.fromPartial(value)).finish(),
      TaskReported: () =>
        TaskReported.encode(TaskReported.fromPartial({ ...value, kind: 'progress' })).finish(),
    }[name]()
    this.#say('pool-manager', name, of.jobId, payload)
  }

  /** All generations up to this one are released. */
  release(
    of: Gen,
    cause = 'FINISHED',
    more: { incidentId?: string; recovers?: number } = {},
  ): void {
    const { jobId, gang, generation: throughGeneration } = of
    const value = GangReleased.fromPartial({ jobId, gang, throughGeneration, cause })
    const payload = GangReleased.encode(value).finish()
    const { incidentId = `i-${jobId}-${throughGeneration}` } = more
    const generation = more.recovers ?? throughGeneration
    const recovering = { type: 'JobRecovering', jobId, gang, generation, plan: { incidentId } }
    this.commit('scheduler', {
      events: cause === 'RECOVER' ? [recovering] : [],
      publics: [{ type: `${TYPES}GangReleased`, key: jobId, payload }],
      marks: this.marks('scheduler'),
    })
  }

  /** Devices of ranks are told to be free; by default of all of them, node by node. */
  free(of: Gen, only?: readonly number[], more: { node?: string } = {}): void {
    const ranks = this.ranksOf(of)
    for (const nodeId of new Set(ranks.map(([node]) => node))) {
      const here = ranks.flatMap(([node], rank) =>
        node === nodeId && only?.includes(rank) !== false ? [rank] : [],
      )
      if (here.length === 0) continue
      const value: DevicesFreed = { ...of, ranks: here, nodeId: more.node ?? nodeId }
      this.#say('pool-manager', 'DevicesFreed', of.jobId, DevicesFreed.encode(value).finish())
    }
  }

  incident(of: Gen, decision: string, incidentId = `i-${of.jobId}-${of.generation}`): void {
    const value = IncidentChanged.fromPartial({ incident: { ...of, incidentId, decision } })
    const payload = IncidentChanged.encode(value).finish()
    this.#say('fault-tolerance', 'IncidentChanged', of.jobId, payload)
  }

  checkpoint(of: Gen, step: bigint): void {
    const { jobId, generation } = of
    const value = CheckpointRegistered.fromPartial({ checkpoint: { jobId, generation, step } })
    const payload = CheckpointRegistered.encode(value).finish()
    this.#say('fault-tolerance', 'CheckpointRegistered', jobId, payload)
  }

  /** Everything is published, and all has to be in order. */
  settle(): void {
    for (const service of Object.values(SERVICES)) this.publish(service)
    this.observe({ kind: 'settled', atMs: this.nowMs })
  }

  /** Where a generation was placed. */
  ranksOf(of: Gen): Ranks {
    return this.#ranks.get(`${of.jobId}/${of.generation}`) ?? []
  }
}
