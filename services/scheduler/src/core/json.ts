import { invariant, type Json } from '@serverless-ai/kernel'
import { hold } from './holdings.ts'
import { addWaiting } from './queueing.ts'
import type {
  Holding,
  Job,
  Phase,
  QueueState,
  SchedulerState,
  Service,
  StoryItem,
} from './state.ts'
import { emptyQueue, initialState, isFinished, isPlaced, placedTasks, unitKey } from './state.ts'
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
  /** Absent where there are none, as in states of older versions. */
  readonly services?: readonly ServiceJson[]
}

type ServiceJson = Omit<Service, 'replicas' | 'end'> & {
  /** Their story is the service's. */
  readonly replicas: readonly JobJson[]
  /** Absent while it is not over. */
  readonly end?: Service['end'] & object
}

type QueueJson = {
  readonly spec: QueueSpec
  readonly classes: readonly ClassJson[]
  /** Keys of jobs and replicas in the order in which they go on. */
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
  readonly gang?: number
  readonly ready?: Job['ready'] & object
  readonly drain?: Job['drain'] & object
  readonly served?: true
  readonly revision?: number
  readonly scale?: Job['scale'] & object
  readonly notice?: Job['notice'] & object
  readonly resizing?: true
  readonly resizedAtMs?: number
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
    ...(state.services.size === 0
      ? {}
      : { services: [...state.services.values()].map(serviceToJson) }),
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
    recovering: queue.recovering.map(unitKey),
  }
}

function jobToJson(job: Job): JobJson {
  const { phase, ...rest } = job
  const placed = isPlaced(phase) ? { at: phase.at, ranks: [...phase.tally.ranks] } : phase
  return { ...rest, story: [...job.story], phase: placed }
}

function serviceToJson({ replicas, end, ...service }: Service): ServiceJson {
  return {
    ...service,
    story: [...service.story],
    replicas: Array.from(replicas.values(), (job) => jobToJson({ ...job, story: [] })),
    ...(end === undefined ? {} : { end }),
  }
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
  const services = from.services ?? []
  for (const item of services) state.services.set(item.spec.jobId, serviceFromJson(item))
  for (const [jobId, { update, end }] of state.services) {
    if (update?.at === 'Rolling' && end === undefined) state.rolling.add(jobId)
  }
  const units = new Map<string, Job>()
  for (const job of allUnits(state)) units.set(unitKey(job), job)
  for (const job of units.values()) file(state, job)
  for (const job of state.jobs.values()) if (!isFinished(job.phase)) state.live++
  for (const { end } of state.services.values()) if (end === undefined) state.live++
  for (const item of from.queues) restoreQueue(state, item, units)
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

function* allUnits(state: SchedulerState): Iterable<Job> {
  yield* state.jobs.values()
  for (const { replicas } of state.services.values()) yield* replicas.values()
}

function serviceFromJson({ end, ...json }: ServiceJson): Service {
  const story = [...json.story]
  const replicas = new Map<number, Job>()
  for (const item of json.replicas) {
    const job = { ...jobFromJson(item), story }
    replicas.set(job.gang ?? 0, job)
  }
  return { ...json, end, story, replicas }
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
  const queue = state.queues.get(job.spec.queue)
  invariant(queue !== undefined, `unknown queue ${job.spec.queue}`)
  if (job.phase.at === 'Queued') addWaiting(queue, job)
  if (!isPlaced(job.phase)) return
  queue.used = plus(queue.used, times(job.spec.gang.perTask, placedTasks(job)))
  queue.placed++
}

function restoreQueue(
  state: SchedulerState,
  json: QueueJson,
  units: ReadonlyMap<string, Job>,
): void {
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
  for (const key of json.recovering) queue.recovering.push(units.get(key)!)
}
