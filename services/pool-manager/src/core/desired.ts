import type { PoolEvent } from './messages.ts'
import {
  compareKeys,
  devicesOfRank,
  type Execution,
  type ExecutionKey,
  keyOf,
  type Notice,
  type PoolNode,
  type ReadinessProbe,
} from './model.ts'
import { executionsOn, findExecution, findGang, membershipOf, type PoolState } from './state.ts'

/** A task that shall run on a node. */
export interface DesiredTask {
  readonly key: ExecutionKey
  readonly tenant: string
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly deviceIndexes: readonly number[]
  readonly cpuMillis: number
  readonly memoryMib: number
  readonly ports: readonly number[]
  readonly workspace: string
  readonly exclusive: boolean
  readonly stopGraceMs: number
  readonly logMaxBytes: number
  /** Of rank 0 alone; `port` is where to ask. */
  readonly readiness?: ReadinessProbe & { readonly port: number }
  readonly notice?: Notice
}

/** True when the node's present supervisor shall run it. */
export function isDesired(node: PoolNode, execution: Execution): boolean {
  const { at } = execution.phase
  return (at === 'Assigned' || at === 'Running') && execution.session === node.supervisorSession
}

/** The node's whole desired set, in key order. */
export function desiredSet(state: PoolState, node: PoolNode): readonly DesiredTask[] {
  const wanted = [...executionsOn(state, node.nodeId)].filter((each) => isDesired(node, each))
  return wanted.sort(compareKeys).map((execution) => desiredTask(state, execution))
}

function desiredTask(state: PoolState, execution: Execution): DesiredTask {
  const { grant, contract, notice } = membershipOf(state, execution)
  const [port] = execution.rank === 0 ? grant.rank0Ports : []
  const probe = contract?.readiness
  return {
    key: keyOf(execution),
    tenant: grant.tenant,
    command: contract?.command ?? [],
    env: { ...contract?.env, ...contract?.rankEnv[execution.rank] },
    deviceIndexes: devicesOfRank(grant, execution.rank),
    cpuMillis: grant.cpuMillis,
    memoryMib: grant.memoryMib,
    ports: execution.rank === 0 ? grant.rank0Ports : [],
    workspace: contract?.workspace ?? '',
    exclusive: grant.exclusive,
    stopGraceMs: contract?.stopGraceMs ?? 0,
    logMaxBytes: contract?.logMaxBytes ?? 0,
    ...(probe === undefined || port === undefined ? {} : { readiness: { ...probe, port } }),
    ...(notice === undefined ? {} : { notice }),
  }
}

/** Nodes whose desired set the event may have changed; `state` is after the event. */
export function nodesTouched(event: PoolEvent, state: PoolState): readonly string[] {
  switch (event.type) {
    case 'RanksAssigned':
    case 'NoticeGiven':
      return findGang(state, event)?.memberships.get(event.generation)?.grant.nodes ?? []
    case 'GangReleased': {
      const nodes = new Set<string>()
      for (const [generation, { grant }] of findGang(state, event)?.memberships ?? []) {
        if (generation > event.throughGeneration) continue
        for (const nodeId of grant.nodes) nodes.add(nodeId)
      }
      return [...nodes]
    }
    case 'TaskExited': {
      const nodeId = findExecution(state, event.key)?.nodeId
      return nodeId === undefined ? [] : [nodeId]
    }
    case 'NodeRegistered':
      return [event.nodeId]
    default:
      return []
  }
}
