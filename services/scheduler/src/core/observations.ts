import { accept, type Decision, refuse, type TimerRequest } from '@serverless-ai/kernel'
import type {
  ObserveFreed,
  ObserveReadiness,
  ObserveResult,
  ObserveTasks,
  ReplacePool,
  SchedulerEvent,
} from './messages.ts'
import { released } from './releases.ts'
import { observeReadiness } from './services.ts'
import type { SchedulerState } from './state.ts'
import { holdingKey, isPlaced, unitOf } from './state.ts'
import type { NodeFacts } from './types.ts'
import { NODE_DEVICES_MAX, NODES_MAX, RESULT_MAX_CHARS } from './types.ts'
import { startupTimers } from './updates.ts'

type Decided = Decision<SchedulerEvent>

/** A node registered or changed; nothing happens when nothing of it concerns placements. */
export function observeNode(state: SchedulerState, node: NodeFacts): Decided {
  const known = state.fleet.indexOf(node.nodeId)
  if (known === undefined && state.fleet.size >= NODES_MAX) {
    return refuse('TOO_MANY_NODES', { max: NODES_MAX })
  }
  if (node.devices.length > NODE_DEVICES_MAX) {
    return refuse('TOO_MANY_DEVICES', { nodeId: node.nodeId, max: NODE_DEVICES_MAX })
  }
  if (known !== undefined && sameFacts(state.fleet.facts[known]!, node)) return accept([])
  return accept([{ type: 'NodeObserved', node }])
}

/** A node is believed lost. */
export function observeNodeLost(state: SchedulerState, nodeId: string): Decided {
  const node = state.fleet.indexOf(nodeId)
  if (node === undefined || state.fleet.stateOf(node) === 'Lost') return accept([])
  return accept([{ type: 'NodeLost', nodeId }])
}

/** Ranks started or ended well; those of other generations are nobody's news. */
export function observeTasks(state: SchedulerState, seen: ObserveTasks, atMs: number): Decided {
  const job = unitOf(state, seen.jobId, seen.gang)
  if (job === undefined || seen.generation !== job.generation) return accept([])
  if (!isPlaced(job.phase)) return accept([])
  const { ranks, started: startedBefore, ended: endedBefore } = job.phase.tally
  const known = (rank: number) => rank >= 0 && rank < ranks.length
  const ended = unique(seen.ended).filter((rank) => known(rank) && ranks[rank] !== 2)
  const started = unique([...seen.started, ...ended]).filter((r) => known(r) && ranks[r] === 0)
  if (started.length + ended.length === 0) return accept([])
  const all = startedBefore + started.length === ranks.length
  const next = all ? 'Running' : 'Starting'
  const phase = started.length > 0 && job.phase.at !== next ? next : ''
  const { jobId, gang, generation } = seen
  const events: SchedulerEvent[] = [
    { type: 'TasksObserved', jobId, gang, generation, started, ended, phase },
  ]
  // A server that ends by itself has not succeeded: fault tolerance says what comes next.
  if (endedBefore + ended.length === ranks.length && job.gang === undefined) {
    events.push(...released(job, 'FINISHED'), { type: 'JobSucceeded', jobId })
  }
  return accept(events, { timers: started.includes(0) ? startupTimers(state, job, atMs) : [] })
}

/**
 * The last result line of rank 0 counts, of the current generation, also when it comes after the
 * end.
 */
export function observeResult(state: SchedulerState, seen: ObserveResult): Decided {
  const job = state.jobs.get(seen.jobId)
  if (job === undefined || seen.rank !== 0 || seen.generation !== job.generation) return accept([])
  if (!isPlaced(job.phase) && job.phase.at !== 'Succeeded') return accept([])
  if (seen.json === job.result || seen.json.length > RESULT_MAX_CHARS) return accept([])
  const { jobId, generation, json } = seen
  return accept([{ type: 'ResultReported', jobId, generation, json }])
}

/** Ranks whose processes are certainly gone. */
export function observeFreed(state: SchedulerState, seen: ObserveFreed): Decided {
  const holding = state.holdings.get(holdingKey(seen.jobId, seen.gang, seen.generation))
  if (holding === undefined) return accept([])
  const ranks = unique(seen.ranks).filter((rank) => holding.freed[rank] === 0)
  if (ranks.length === 0) return accept([])
  const { jobId, gang, generation } = seen
  return accept([{ type: 'RanksFreed', jobId, gang, generation, ranks }])
}

/**
 * The pool manager's whole state: nodes that it does not know are gone, everything else is as if it
 * had just been observed. Each part concerns other things than the parts before it, so their
 * decisions can be taken against the same state.
 */
export function replacePool(state: SchedulerState, seen: ReplacePool, atMs: number): Decided {
  const events: SchedulerEvent[] = []
  const timers: TimerRequest[] = []
  const add = (decision: Decided) => {
    if (!decision.accepted) return
    events.push(...decision.events)
    timers.push(...(decision.timers ?? []))
  }
  const lost = new Set(seen.lost)
  const present = new Set(seen.nodes.map((node) => node.nodeId))
  for (const node of seen.nodes) {
    add(observeNode(state, lost.has(node.nodeId) ? { ...node, state: 'Lost' } : node))
  }
  for (const nodeId of state.fleet.ids)
    if (!present.has(nodeId)) add(observeNodeLost(state, nodeId))
  for (const tasks of mergeTasks(seen.tasks)) add(observeTasks(state, tasks, atMs))
  for (const freed of mergeFreed(seen.freed)) add(observeFreed(state, freed))
  for (const readiness of lastOf(seen.readiness ?? [])) add(observeReadiness(state, readiness))
  return accept(events, { timers })
}

function mergeTasks(all: readonly ObserveTasks[]): ObserveTasks[] {
  const merged = new Map<string, ObserveTasks>()
  for (const one of all) {
    const key = holdingKey(one.jobId, one.gang, one.generation)
    const before = merged.get(key)
    const started = [...(before?.started ?? []), ...one.started]
    const ended = [...(before?.ended ?? []), ...one.ended]
    merged.set(key, { ...one, started, ended })
  }
  return [...merged.values()]
}

function mergeFreed(all: readonly ObserveFreed[]): ObserveFreed[] {
  const merged = new Map<string, ObserveFreed>()
  for (const one of all) {
    const key = holdingKey(one.jobId, one.gang, one.generation)
    const ranks = [...(merged.get(key)?.ranks ?? []), ...one.ranks]
    merged.set(key, { ...one, ranks })
  }
  return [...merged.values()]
}

function lastOf(all: readonly ObserveReadiness[]): Iterable<ObserveReadiness> {
  const key = (one: ObserveReadiness) => `${holdingKey(one.jobId, one.gang, one.generation)}`
  return new Map(all.filter(({ rank }) => rank === 0).map((one) => [key(one), one])).values()
}

/** Ascending, each once. */
function unique(ranks: readonly number[]): number[] {
  return [...new Set(ranks)].sort((a, b) => a - b)
}

function sameFacts(a: NodeFacts, b: NodeFacts): boolean {
  if (a.devices.length !== b.devices.length) return false
  const devices = a.devices.every((device, i) => {
    const other = b.devices[i]!
    return (
      device.model === other.model &&
      device.emulated === other.emulated &&
      device.healthy === other.healthy
    )
  })
  return (
    devices &&
    a.state === b.state &&
    a.cpuMillis === b.cpuMillis &&
    a.memoryMib === b.memoryMib &&
    a.address === b.address &&
    a.portFirst === b.portFirst &&
    a.portLast === b.portLast
  )
}
