import { invariant } from '@serverless-ai/kernel'
import {
  type Execution,
  type ExecutionKey,
  executionKey,
  type Gang,
  type GangId,
  gangKey,
  type Membership,
  type PoolNode,
} from './model.ts'

/** State of the pool manager. Indexes (`onNode`, `gangsOfJob`) are derived from the rest. */
export interface PoolState {
  readonly nodes: Map<string, PoolNode>
  /** By gang key. */
  readonly gangs: Map<string, Gang>
  /** Executions whose devices are not free, by node and execution key. */
  readonly onNode: Map<string, Map<string, Execution>>
  /** Gang keys by job. */
  readonly gangsOfJob: Map<string, Set<string>>
  /** Finished gangs without an unfreed device, oldest first → number of their executions. */
  readonly settled: Map<string, number>
  /** Sum over `settled`. */
  settledExecutions: number
  /** Gangs of which only contracts are known, oldest first. */
  readonly ungranted: Set<string>
}

/** Ended executions of finished gangs that are kept. */
export const ENDED_EXECUTIONS_MAX = 2_000
/** Finished gangs that are kept. */
export const SETTLED_GANGS_MAX = 4_000
/** Gangs of which only a contract is known that are kept. */
export const UNGRANTED_GANGS_MAX = 1_000

export function emptyState(): PoolState {
  return {
    nodes: new Map(),
    gangs: new Map(),
    onNode: new Map(),
    gangsOfJob: new Map(),
    settled: new Map(),
    settledExecutions: 0,
    ungranted: new Set(),
  }
}

/** The gang, if known. */
export function findGang(state: PoolState, id: GangId): Gang | undefined {
  return state.gangs.get(gangKey(id))
}

/** The execution, if known. */
export function findExecution(state: PoolState, key: ExecutionKey): Execution | undefined {
  return findGang(state, key)?.memberships.get(key.generation)?.executions[key.rank]
}

/** The gang; an event that names an unknown one cannot follow the state. */
export function gangOf(state: PoolState, id: GangId): Gang {
  const gang = findGang(state, id)
  invariant(gang !== undefined, `event of an unknown gang ${gangKey(id)}`)
  return gang
}

/** The node; an event that names an unknown one cannot follow the state. */
export function nodeOf(state: PoolState, nodeId: string): PoolNode {
  const node = state.nodes.get(nodeId)
  invariant(node !== undefined, `event of an unknown node ${nodeId}`)
  return node
}

/** The execution; an event that names an unknown one cannot follow the state. */
export function executionOf(state: PoolState, key: ExecutionKey): Execution {
  const execution = findExecution(state, key)
  invariant(execution !== undefined, `event of an unknown execution ${executionKey(key)}`)
  return execution
}

/** Generation of the gang: the newest one granted, and not over. */
export function isCurrent(state: PoolState, key: GangId & { generation: number }): boolean {
  const gang = findGang(state, key)
  return (
    gang !== undefined &&
    key.generation === gang.grantedThrough &&
    key.generation > gang.releasedThrough
  )
}

/** Executions of a node whose devices are not free; no defined order. */
export function executionsOn(state: PoolState, nodeId: string): Iterable<Execution> {
  return state.onNode.get(nodeId)?.values() ?? []
}

/** Devices of a node that are not free. */
export function devicesUsedOn(state: PoolState, nodeId: string): number {
  let used = 0
  for (const execution of executionsOn(state, nodeId)) {
    used += membershipOf(state, execution).grant.devicesPerTask
  }
  return used
}

/** The generation an execution belongs to. */
export function membershipOf(state: PoolState, key: ExecutionKey): Membership {
  const membership = findGang(state, key)?.memberships.get(key.generation)
  invariant(membership !== undefined, `no generation for ${executionKey(key)}`)
  return membership
}

/** Adds a gang and its index entry. */
export function addGang(state: PoolState, id: GangId): Gang {
  const gang: Gang = {
    jobId: id.jobId,
    gang: id.gang,
    tenant: '',
    grantedThrough: 0,
    releasedThrough: 0,
    finished: false,
    unfreedRanks: 0,
    memberships: new Map(),
    waiting: new Map(),
  }
  indexGang(state, gang)
  return gang
}

/** Enters a gang into the maps. */
export function indexGang(state: PoolState, gang: Gang): void {
  const key = gangKey(gang)
  state.gangs.set(key, gang)
  const ofJob = state.gangsOfJob.get(gang.jobId)
  if (ofJob === undefined) state.gangsOfJob.set(gang.jobId, new Set([key]))
  else ofJob.add(key)
}

/** Enters an execution into the index of its node. */
export function indexExecution(state: PoolState, execution: Execution): void {
  let onNode = state.onNode.get(execution.nodeId)
  if (onNode === undefined) {
    onNode = new Map()
    state.onNode.set(execution.nodeId, onNode)
  }
  onNode.set(executionKey(execution), execution)
}

/** Takes an execution out of the index of its node. */
export function unindexExecution(state: PoolState, execution: Execution): void {
  const onNode = state.onNode.get(execution.nodeId)
  onNode?.delete(executionKey(execution))
  if (onNode?.size === 0) state.onNode.delete(execution.nodeId)
}

/** Number of executions a gang keeps. */
export function executionCount(gang: Gang): number {
  let count = 0
  for (const membership of gang.memberships.values()) count += membership.executions.length
  return count
}
