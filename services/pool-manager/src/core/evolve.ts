import { invariant, unreachable } from '@serverless-ai/kernel'
import { isDesired } from './desired.ts'
import type {
  DevicesFreed,
  GangPruned,
  GangReleased,
  NodeRegistered,
  NoticeGiven,
  PoolEvent,
  RanksAssigned,
  TaskExited,
  TaskStarted,
} from './messages.ts'
import {
  type Contract,
  type Execution,
  type Gang,
  type Grant,
  gangKey,
  goesOn,
  hasEnded,
  type PoolNode,
} from './model.ts'
import {
  addGang,
  executionCount,
  executionOf,
  executionsOn,
  findGang,
  gangOf,
  indexExecution,
  nodeOf,
  type PoolState,
  unindexExecution,
} from './state.ts'

/** Folds an event into the state, in place. */
export function evolve(state: PoolState, event: PoolEvent, atMs: number): PoolState {
  switch (event.type) {
    case 'NodeRegistered':
      registered(state, event, atMs)
      break
    case 'NodeDisconnected':
      setNodeState(nodeOf(state, event.nodeId), { at: 'Disconnected' }, atMs)
      break
    case 'NodeLost':
      setNodeState(nodeOf(state, event.nodeId), { at: 'Lost', silentMs: event.silentMs }, atMs)
      break
    case 'GangGranted':
      granted(state, event.grant)
      break
    case 'ContractPrepared':
      contractPrepared(state, event.contract)
      break
    case 'RanksAssigned':
      assigned(state, event)
      break
    case 'GangReleased':
      released(state, event)
      break
    case 'TaskStarted':
      started(state, event)
      break
    case 'TaskExited':
      exited(state, event)
      break
    case 'TaskReadinessObserved':
      executionOf(state, event.key).readiness = event.readiness
      break
    case 'NoticeGiven':
      noticeGiven(state, event)
      break
    case 'TaskReported':
      executionOf(state, event.key).lastLine = event.line
      break
    case 'DevicesFreed':
      freed(state, event)
      break
    case 'ReportTaken':
      nodeOf(state, event.nodeId).lastReport = event.number
      break
    case 'GangPruned':
      pruned(state, event)
      break
    default:
      return unreachable(event)
  }
  return state
}

function setNodeState(node: PoolNode, next: PoolNode['state'], atMs: number): void {
  invariant(node.state.at !== next.at, `node ${node.nodeId} is ${next.at} already`)
  node.state = next
  node.sinceMs = atMs
}

function registered(state: PoolState, event: NodeRegistered, atMs: number): void {
  const { nodeId, supervisorSession, inventory, clockSkewMs, leaseMs = 0 } = event
  const node = state.nodes.get(nodeId)
  if (node === undefined) {
    state.nodes.set(nodeId, {
      nodeId,
      state: { at: 'Ready' },
      sinceMs: atMs,
      inventory,
      supervisorSession,
      clockSkewMs,
      leaseMs,
      registration: 1,
      lastReport: 0,
      desiredRevision: 1,
    })
  } else {
    if (node.supervisorSession !== supervisorSession) {
      node.supervisorSession = supervisorSession
      node.lastReport = 0
      node.leaseMs = leaseMs
    }
    // The same supervisor may still hold a longer one from an earlier leader.
    node.leaseMs = Math.max(node.leaseMs, leaseMs)
    if (node.state.at !== 'Ready') setNodeState(node, { at: 'Ready' }, atMs)
    node.inventory = inventory
    node.clockSkewMs = clockSkewMs
    node.registration += 1
    node.desiredRevision += 1
  }
  // From here on they may be sent to this supervisor.
  for (const execution of executionsOn(state, nodeId)) {
    if (execution.session === '') execution.session = supervisorSession
  }
}

function granted(state: PoolState, grant: Grant): void {
  const gang = findGang(state, grant) ?? addGang(state, grant)
  const { generation } = grant
  invariant(generation > gang.grantedThrough, `generation ${generation} was granted before`)
  gang.tenant = grant.tenant
  gang.grantedThrough = generation
  gang.unfreedRanks += grant.nodeOfRank.length
  gang.memberships.set(generation, {
    grant,
    contract: gang.waiting.get(generation) ?? null,
    executions: [],
    freedUnassigned: false,
  })
  gang.waiting.delete(generation)
  unsettle(state, gang)
  state.ungranted.delete(gangKey(gang))
}

function contractPrepared(state: PoolState, contract: Contract): void {
  const gang = findGang(state, contract) ?? addGang(state, contract)
  const { generation } = contract
  invariant(generation > gang.releasedThrough, `contract of a released generation ${generation}`)
  const membership = gang.memberships.get(generation)
  if (membership === undefined) gang.waiting.set(generation, contract)
  else membership.contract = contract
  if (gang.grantedThrough === 0) state.ungranted.add(gangKey(gang))
}

function assigned(state: PoolState, event: RanksAssigned): void {
  const gang = gangOf(state, event)
  const { generation } = event
  const membership = gang.memberships.get(generation)
  invariant(membership?.contract, `ranks of ${gangKey(gang)}/${generation} without a contract`)
  invariant(membership.executions.length === 0, `${gangKey(gang)}/${generation} assigned twice`)
  invariant(generation > gang.releasedThrough, `${gangKey(gang)}/${generation} is released`)
  const { grant } = membership
  membership.executions = grant.nodeOfRank.map((nodeIndex, rank) => {
    const nodeId = grant.nodes[nodeIndex]
    invariant(nodeId !== undefined, `rank ${rank} of ${gangKey(gang)} has no node`)
    const node = state.nodes.get(nodeId)
    return {
      jobId: gang.jobId,
      gang: gang.gang,
      generation,
      rank,
      nodeId,
      session: node?.state.at === 'Ready' ? node.supervisorSession : '',
      phase: { at: 'Assigned' },
      removedRevision: 0,
      lastLine: 0,
    }
  })
  for (const execution of membership.executions) indexExecution(state, execution)
  for (const nodeId of grant.nodes) {
    const node = state.nodes.get(nodeId)
    if (node !== undefined) node.desiredRevision += 1
  }
}

function released(state: PoolState, event: GangReleased): void {
  const gang = findGang(state, event) ?? addGang(state, event)
  gang.releasedThrough = Math.max(gang.releasedThrough, event.throughGeneration)
  gang.finished = gang.finished || !goesOn(event.cause)
  const removed: Execution[] = []
  for (const [generation, membership] of gang.memberships) {
    if (generation > gang.releasedThrough) continue
    membership.contract = null
    for (const execution of membership.executions) {
      const { phase } = execution
      if (phase.at !== 'Assigned' && phase.at !== 'Running') continue
      const startedMs = phase.at === 'Running' ? phase.startedMs : 0
      execution.phase = { at: 'Stopping', startedMs }
      removed.push(execution)
    }
  }
  dropWaiting(gang)
  bumpRevisions(state, removed)
  if (gang.grantedThrough === 0 && gang.waiting.size === 0) state.ungranted.delete(gangKey(gang))
  settleIfDone(state, gang)
}

function noticeGiven(state: PoolState, event: NoticeGiven): void {
  const gang = gangOf(state, event)
  const membership = gang.memberships.get(event.generation)
  invariant(membership !== undefined, `notice to an unknown generation of ${gangKey(gang)}`)
  membership.notice = event.notice
  for (const nodeId of membership.grant.nodes) {
    const node = state.nodes.get(nodeId)
    if (node !== undefined) node.desiredRevision += 1
  }
}

function dropWaiting(gang: Gang): void {
  for (const generation of gang.waiting.keys()) {
    if (gang.finished || generation <= gang.releasedThrough) gang.waiting.delete(generation)
  }
}

/** One step of the revision per node, and the executions remember it. */
function bumpRevisions(state: PoolState, removed: readonly Execution[]): void {
  for (const nodeId of new Set(removed.map((execution) => execution.nodeId))) {
    const node = state.nodes.get(nodeId)
    if (node !== undefined) node.desiredRevision += 1
  }
  for (const execution of removed) {
    execution.removedRevision = state.nodes.get(execution.nodeId)?.desiredRevision ?? 0
  }
}

function started(state: PoolState, event: TaskStarted): void {
  const execution = executionOf(state, event.key)
  invariant(execution.phase.at === 'Assigned', 'started a task that was not merely assigned')
  execution.phase = { at: 'Running', startedMs: event.startedMs }
}

function exited(state: PoolState, event: TaskExited): void {
  const execution = executionOf(state, event.key)
  invariant(!hasEnded(execution), 'a task ended twice')
  const { phase } = execution
  const startedMs = phase.at === 'Running' || phase.at === 'Stopping' ? phase.startedMs : 0
  const node = state.nodes.get(execution.nodeId)
  const wasDesired = node !== undefined && isDesired(node, execution)
  execution.phase = { at: 'Exited', startedMs, exit: event.exit }
  if (wasDesired) bumpRevisions(state, [execution])
}

function freed(state: PoolState, event: DevicesFreed): void {
  const gang = gangOf(state, event)
  const membership = gang.memberships.get(event.generation)
  invariant(membership !== undefined, `freed an unknown generation of ${gangKey(gang)}`)
  gang.unfreedRanks -= event.ranks.length
  invariant(gang.unfreedRanks >= 0, `${gangKey(gang)} freed more ranks than it was granted`)
  if (membership.executions.length === 0) {
    // Never assigned: all nodes of the generation come back together, one event per node.
    membership.freedUnassigned = true
  } else {
    for (const rank of event.ranks) {
      const execution = membership.executions[rank]
      invariant(execution !== undefined, `freed an unknown rank ${rank} of ${gangKey(gang)}`)
      const { phase } = execution
      invariant(
        phase.at === 'Stopping' || phase.at === 'Exited',
        `freed a rank that is ${phase.at}`,
      )
      const exit = phase.at === 'Exited' ? phase.exit : null
      execution.phase = { at: 'Freed', startedMs: phase.startedMs, exit }
      unindexExecution(state, execution)
    }
  }
  settleIfDone(state, gang)
}

function settleIfDone(state: PoolState, gang: Gang): void {
  const key = gangKey(gang)
  if (!gang.finished || gang.unfreedRanks > 0 || state.settled.has(key)) return
  const count = executionCount(gang)
  state.settled.set(key, count)
  state.settledExecutions += count
}

function unsettle(state: PoolState, gang: Gang): void {
  const key = gangKey(gang)
  const count = state.settled.get(key)
  if (count === undefined) return
  state.settled.delete(key)
  state.settledExecutions -= count
}

function pruned(state: PoolState, event: GangPruned): void {
  const gang = gangOf(state, event)
  invariant(gang.unfreedRanks === 0, 'pruned a gang that holds devices')
  const key = gangKey(gang)
  unsettle(state, gang)
  state.ungranted.delete(key)
  state.gangs.delete(key)
  const ofJob = state.gangsOfJob.get(gang.jobId)
  ofJob?.delete(key)
  if (ofJob?.size === 0) state.gangsOfJob.delete(gang.jobId)
}
