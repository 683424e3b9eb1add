import { invariant, type Json } from '@serverless-ai/kernel'
import { hold } from './holdings.ts'
import { addWaiting } from './queueing.ts'
import type { Holding, Job, Phase, QueueState, SchedulerState, StoryItem } from './state.ts'
import { emptyQueue, initialState, isFinished, isPlaced } from './state.ts'
import type { JobSpec, NodeFacts, QueueSpec, Reason, Resources } from './types.ts'
import { plus, times } from './types.ts'

/**
 * The state as JSON. Everything that is derived (indexes, sums, memories of rounds) is left out.
 */
type StateJson = {
  readonly nodes: readonly { readonly facts: NodeFacts; readonly nextPort: number }[]
  readonly queues: readonly QueueJson[]
  readonly jobs: readonly JobJson[]
  readonly finished: readonly string[]
  readonly holdings: readonly HoldingJson[]
  readonly nextOrder: number
}

type QueueJson = {
  readonly spec: QueueSpec
  readonly classes: readonly ClassJson[]
  /** Job ids in the order in which they go on. */
  readonly recovering: readonly string[]
}

type ClassJson = {
  readonly key: string
  readonly reason: Reason
  readonly history: readonly { readonly atMs: number; readonly reason: Reason }[]
}

type PhaseJson =
  | { readonly at: 'Admitted' | 'Starting' | 'Running'; readonly ranks: readonly number[] }
  | Exclude<Phase, { tally: unknown }>

type JobJson = {
  readonly spec: JobSpec
  readonly order: number
  readonly queuedAtMs: number
  readonly phase: PhaseJson
  readonly generation: number
  readonly releasedThrough: number
  readonly recovered: { readonly generation: number; readonly incidentId: string }
  readonly checkpointPath: string
  readonly checkpointStep: number
  readonly restartsCharged: number
  readonly avoidNodes: readonly string[]
  readonly result: string
  readonly changedAtMs: number
  readonly story: readonly StoryItem[]
}

type HoldingJson = {
  readonly jobId: string
  readonly gang: number
  readonly generation: number
  readonly perTask: Resources
  readonly nodes: readonly number[]
  readonly tasksOnNode: readonly number[]
  readonly deviceIndexes: readonly number[]
  readonly ports: readonly number[]
  readonly masterAddress: string
  readonly nodeEmulated: readonly boolean[]
  readonly freed: readonly number[]
}

/** State → JSON; equal states give equal JSON. */
export function toJson(state: SchedulerState): Json {
  const json: StateJson = {
    nodes: state.fleet.facts.map((facts, node) => ({
      facts,
      nextPort: state.fleet.ports.next(node),
    })),
    queues: [...state.queues.values()].map(queueToJson),
    jobs: [...state.jobs.values()].map(jobToJson),
    finished: [...state.finished],
    holdings: [...state.holdings.values()].map(holdingToJson),
    nextOrder: state.nextOrder,
  }
  return json
}

function queueToJson(queue: QueueState): QueueJson {
  return {
    spec: queue.spec,
    classes: [...queue.classes.values()].map(({ key, reason, history }) => ({
      key,
      reason,
      history: [...history],
    })),
    recovering: queue.recovering.map((job) => job.spec.jobId),
  }
}

function jobToJson(job: Job): JobJson {
  const { phase, ...rest } = job
  const placed = isPlaced(phase) ? { at: phase.at, ranks: [...phase.tally.ranks] } : phase
  return { ...rest, story: [...job.story], phase: placed }
}

function holdingToJson(holding: Holding): HoldingJson {
  const { held: _, freed, ...rest } = holding
  return { ...rest, freed: [...freed] }
}

/** JSON → state. Only reads what {@link toJson} wrote. */
export function fromJson(json: Json): SchedulerState {
  const from = json as StateJson
  const state = initialState()
  state.nextOrder = from.nextOrder
  for (const { facts } of from.nodes) state.fleet.setNode(facts)
  for (const queue of from.queues) state.queues.set(queue.spec.name, emptyQueue(queue.spec))
  for (const item of from.jobs) state.jobs.set(item.spec.jobId, jobFromJson(item))
  for (const job of state.jobs.values()) file(state, job)
  for (const item of from.queues) restoreQueue(state, item)
  state.finished.push(...from.finished)
  for (const item of from.holdings) {
    const freed = Uint8Array.from(item.freed)
    hold(state, { ...item, freed, held: item.freed.filter((one) => one === 0).length })
  }
  from.nodes.forEach(({ nextPort }, node) => {
    state.fleet.ports.setNext(node, nextPort)
  })
  return state
}

function jobFromJson(json: JobJson): Job {
  const { phase } = json
  if (!('ranks' in phase)) return { ...json, story: [...json.story], phase }
  const ranks = Uint8Array.from(phase.ranks)
  const started = phase.ranks.filter((rank) => rank > 0).length
  const ended = phase.ranks.filter((rank) => rank === 2).length
  return {
    ...json,
    story: [...json.story],
    phase: { at: phase.at, tally: { ranks, started, ended } },
  }
}

function file(state: SchedulerState, job: Job): void {
  if (isFinished(job.phase)) return
  state.live++
  const queue = state.queues.get(job.spec.queue)
  invariant(queue !== undefined, `unknown queue ${job.spec.queue}`)
  if (job.phase.at === 'Queued') addWaiting(queue, job)
  if (!isPlaced(job.phase)) return
  queue.used = plus(queue.used, times(job.spec.gang.perTask, job.spec.gang.tasks))
  queue.placed++
}

function restoreQueue(state: SchedulerState, json: QueueJson): void {
  const queue = state.queues.get(json.spec.name)!
  const classes = new Map(queue.classes)
  queue.classes.clear()
  for (const { key, reason, history } of json.classes) {
    const waiting = classes.get(key)
    invariant(waiting !== undefined, `no jobs of shape ${key} in ${json.spec.name}`)
    waiting.reason = reason
    waiting.history = [...history]
    queue.classes.set(key, waiting)
  }
  for (const jobId of json.recovering) queue.recovering.push(state.jobs.get(jobId)!)
}
