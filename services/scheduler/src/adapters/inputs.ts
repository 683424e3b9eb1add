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
import { type Node, Node_State, TaskExit_Cause } from '@serverless-ai/contracts/pool/v1/pool'
import type { InputSource, PublicEvent } from '@serverless-ai/runtime'
import type {
  ObserveFreed,
  ObserveReadiness,
  ObserveTasks,
  SchedulerCommand,
} from '../core/messages.ts'
import type { NodeFacts, NodeState } from '../core/types.ts'

/**
 * Public events of the pool manager as commands. Throws for what cannot be decoded: the runtime
 * parks it.
 */
const poolManager: InputSource<SchedulerCommand> = {
  service: 'pool-manager',
  toCommand: commandFromEvent,
  replaced: (events) => {
    const nodes = new Map<string, NodeFacts>()
    const lost = new Set<string>()
    const tasks: ObserveTasks[] = []
    const freed: ObserveFreed[] = []
    const readiness: ObserveReadiness[] = []
    for (const event of events) {
      const command = commandFromEvent(event)
      if (command?.type === 'ObserveNode') nodes.set(command.node.nodeId, command.node)
      else if (command?.type === 'ObserveNodeLost') lost.add(command.nodeId)
      else if (command?.type === 'ObserveTasks') tasks.push(command)
      else if (command?.type === 'ObserveFreed') freed.push(command)
      else if (command?.type === 'ObserveReadiness') readiness.push(command)
    }
    const known = { nodes: [...nodes.values()], lost: [...lost], tasks, freed, readiness }
    return { type: 'ReplacePool', ...known }
  },
}

/** What the scheduler listens to. */
export const inputs: readonly InputSource<SchedulerCommand>[] = [poolManager]

function commandFromEvent(event: PublicEvent): SchedulerCommand | undefined {
  switch (event.type) {
    case `${EVENTS}NodeChanged`:
      return { type: 'ObserveNode', node: nodeFromProto(NodeChanged.decode(event.payload).node) }
    case `${EVENTS}NodeLost`:
      return { type: 'ObserveNodeLost', nodeId: NodeLost.decode(event.payload).nodeId }
    case `${EVENTS}TaskStarted`: {
      const { jobId, gang, generation, rank } = TaskStarted.decode(event.payload)
      return { type: 'ObserveTasks', jobId, gang, generation, started: [rank], ended: [] }
    }
    case `${EVENTS}TaskExited`: {
      const { jobId, gang, generation, rank, exit } = TaskExited.decode(event.payload)
      // Only good ends concern the scheduler: what to do about others is decided by fault
      // tolerance.
      const well =
        exit?.cause === TaskExit_Cause.EXITED && exit.exitCode === 0 && exit.signal === ''
      if (!well) return undefined
      return { type: 'ObserveTasks', jobId, gang, generation, started: [], ended: [rank] }
    }
    case `${EVENTS}TaskReported`: {
      const { jobId, generation, rank, kind, json } = TaskReported.decode(event.payload)
      if (kind !== 'result') return undefined
      return { type: 'ObserveResult', jobId, generation, rank, json }
    }
    case `${EVENTS}TaskReadinessChanged`: {
      const seen = TaskReadinessChanged.decode(event.payload)
      const { jobId, gang, generation, rank, ready, cause } = seen
      return { type: 'ObserveReadiness', jobId, gang, generation, rank, ready, cause }
    }
    case `${EVENTS}DevicesFreed`: {
      const { jobId, gang, generation, ranks } = DevicesFreed.decode(event.payload)
      return { type: 'ObserveFreed', jobId, gang, generation, ranks: [...ranks] }
    }
    default:
      return undefined
  }
}

function stateFromProto(state: Node['state']): NodeState {
  if (state === Node_State.READY) return 'Ready'
  return state === Node_State.LOST ? 'Lost' : 'Disconnected'
}

function nodeFromProto(node: Node | undefined): NodeFacts {
  const inventory = node?.inventory
  if (node === undefined || node.nodeId === '') throw new Error('NodeChanged without a node')
  const devices: NodeFacts['devices'][number][] = []
  for (const { index, model, emulated, healthy } of inventory?.devices ?? []) {
    devices[index] = { model, emulated, healthy }
  }
  return {
    nodeId: node.nodeId,
    state: stateFromProto(node.state),
    cpuMillis: Number(inventory?.cpuMillis ?? 0n),
    memoryMib: Number(inventory?.memoryMib ?? 0n),
    // An index that the node left out is a device that nobody may use.
    devices: Array.from(
      devices,
      (device) => device ?? { model: '', emulated: false, healthy: false },
    ),
    address: inventory?.address ?? '',
    portFirst: inventory?.portFirst ?? 0,
    portLast: inventory?.portLast ?? 0,
  }
}
