import { encodeMessage } from '@serverless-ai/contracts/encode'
import {
  DevicesFreed,
  NodeChanged,
  NodeLost,
  TaskExited,
  TaskReadinessChanged,
  TaskReported,
  TaskStarted,
} from '@serverless-ai/contracts/events/v1/pool_manager'
import { EVENTS } from '@serverless-ai/contracts/names'
import type { PublicDraft } from '@serverless-ai/runtime'
import type { PoolEvent } from '../core/messages.ts'
import type {
  Execution,
  ExecutionKey,
  GangId,
  PoolNode,
  Readiness,
  TaskExit,
} from '../core/model.ts'
import {
  executionOf,
  findGang,
  isCurrent,
  membershipOf,
  nodeOf,
  type PoolState,
} from '../core/state.ts'
import { exitToProto, nodeToProto } from './to-proto.ts'

const OPERATORS = ''

/**
 * Public events of an event. States and lines of tasks are told for the newest generation only;
 * devices that are free are told for all.
 */
export function publish(event: PoolEvent, state: PoolState, atMs: number): readonly PublicDraft[] {
  switch (event.type) {
    case 'NodeRegistered':
      return event.change === '' ? [] : [nodeChanged(nodeOf(state, event.nodeId), event.change)]
    case 'NodeDisconnected':
      return [nodeChanged(nodeOf(state, event.nodeId), event.cause)]
    case 'NodeLost': {
      const node = nodeOf(state, event.nodeId)
      const cause = `no sign of life for ${event.silentMs} ms`
      return [nodeChanged(node, cause), nodeLost(node.nodeId, event.silentMs, atMs)]
    }
    case 'TaskStarted':
      if (!isCurrent(state, event.key)) return []
      return [taskStarted(executionOf(state, event.key), event.startedMs, state)]
    case 'TaskExited':
      if (!isCurrent(state, event.key)) return []
      return [taskExited(executionOf(state, event.key), event.exit, state)]
    case 'TaskReported': {
      if (!isCurrent(state, event.key)) return []
      const { kind, json } = event
      const message = { ...event.key, kind, json, line: BigInt(event.line) }
      const payload = encodeMessage(TaskReported, message)
      return [ofJob('TaskReported', event.key, state, payload)]
    }
    case 'TaskReadinessObserved':
      if (!isCurrent(state, event.key)) return []
      return [readinessChanged(executionOf(state, event.key), event.readiness, state)]
    case 'DevicesFreed':
      return [devicesFreed(event, event, state)]
    default:
      return []
  }
}

/**
 * What an empty consumer must see: nodes, kept executions of each gang's newest generation, what is
 * free.
 */
export function* snapshotFeed(state: PoolState): Generator<PublicDraft> {
  for (const node of state.nodes.values()) {
    yield nodeChanged(node, 'snapshot')
    if (node.state.at === 'Lost') yield nodeLost(node.nodeId, node.state.silentMs, node.sinceMs)
  }
  for (const gang of state.gangs.values()) {
    for (const [generation, { grant, executions, freedUnassigned }] of gang.memberships) {
      if (generation === gang.grantedThrough) yield* tasks(executions, state)
      const isFree = (rank: number) => freedUnassigned || executions[rank]?.phase.at === 'Freed'
      for (const [nodeIndex, nodeId] of grant.nodes.entries()) {
        const ranks = grant.nodeOfRank.flatMap((index, rank) =>
          index === nodeIndex && isFree(rank) ? [rank] : [],
        )
        const id = { jobId: gang.jobId, gang: gang.gang, generation }
        if (ranks.length > 0) yield devicesFreed(id, { ranks, nodeId }, state)
      }
    }
  }
}

function* tasks(executions: readonly Execution[], state: PoolState): Generator<PublicDraft> {
  for (const execution of executions) {
    const { phase } = execution
    if (phase.at === 'Assigned') continue
    if (phase.startedMs > 0) yield taskStarted(execution, phase.startedMs, state)
    if (execution.readiness !== undefined) {
      yield readinessChanged(execution, execution.readiness, state)
    }
    if (phase.at !== 'Exited' && phase.at !== 'Freed') continue
    if (phase.exit !== null) yield taskExited(execution, phase.exit, state)
  }
}

function nodeChanged(node: PoolNode, cause: string): PublicDraft {
  const message = { node: nodeToProto(node, 0), cause }
  return ofNode('NodeChanged', node.nodeId, encodeMessage(NodeChanged, message))
}

function nodeLost(nodeId: string, silentMs: number, atMs: number): PublicDraft {
  const message = { nodeId, silentMs: whole(silentMs), atMs: whole(atMs) }
  return ofNode('NodeLost', nodeId, encodeMessage(NodeLost, message))
}

function taskStarted(execution: Execution, startedMs: number, state: PoolState): PublicDraft {
  const message = { ...identity(execution), nodeId: execution.nodeId, startedMs: whole(startedMs) }
  const payload = encodeMessage(TaskStarted, message)
  return ofJob('TaskStarted', execution, state, payload)
}

function readinessChanged(
  execution: Execution,
  readiness: Readiness,
  state: PoolState,
): PublicDraft {
  const { grant } = membershipOf(state, execution)
  const { nodeId, rank } = execution
  const message = {
    ...identity(execution),
    tenant: grant.tenant,
    nodeId,
    address: state.nodes.get(nodeId)?.inventory.address ?? '',
    ports: rank === 0 ? [...grant.rank0Ports] : [],
    ready: readiness.ready,
    cause: readiness.cause,
    atMs: whole(readiness.atMs),
  }
  const payload = encodeMessage(TaskReadinessChanged, message)
  return ofJob('TaskReadinessChanged', execution, state, payload)
}

function taskExited(execution: Execution, exit: TaskExit, state: PoolState): PublicDraft {
  const message = { ...identity(execution), nodeId: execution.nodeId, exit: exitToProto(exit) }
  const payload = encodeMessage(TaskExited, message)
  return ofJob('TaskExited', execution, state, payload)
}

function devicesFreed(
  id: GangId & { readonly generation: number },
  freed: { readonly ranks: readonly number[]; readonly nodeId: string },
  state: PoolState,
): PublicDraft {
  const { jobId, gang, generation } = id
  const message = { jobId, gang, generation, ranks: [...freed.ranks], nodeId: freed.nodeId }
  const payload = encodeMessage(DevicesFreed, message)
  return ofJob('DevicesFreed', id, state, payload)
}

function identity(key: ExecutionKey): ExecutionKey {
  return { jobId: key.jobId, gang: key.gang, generation: key.generation, rank: key.rank }
}

function ofJob(name: string, id: GangId, state: PoolState, payload: Uint8Array): PublicDraft {
  const tenant = findGang(state, id)?.tenant ?? OPERATORS
  return { type: `${EVENTS}${name}`, key: id.jobId, tenant, payload }
}

function ofNode(name: string, nodeId: string, payload: Uint8Array): PublicDraft {
  return { type: `${EVENTS}${name}`, key: nodeId, tenant: OPERATORS, payload }
}

const whole = (ms: number): bigint => BigInt(Math.trunc(ms))
