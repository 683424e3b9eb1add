import {
  type Assignment,
  type ExecutionKey as ExecutionKeyProto,
} from '@serverless-ai/contracts/agent/v1/agent'
import {
  Execution_State,
  type Execution as ExecutionProto,
  type Inventory as InventoryProto,
  Node_State,
  type Node as NodeProto,
  type ReadinessProbe,
  type Readiness as ReadinessProto,
  TaskExit_Cause,
  type TaskExit as TaskExitProto,
} from '@serverless-ai/contracts/pool/v1/pool'
import type { DesiredTask } from '../core/desired.ts'
import {
  devicesOfRank,
  type Execution,
  type ExecutionKey,
  type Grant,
  type Inventory,
  type PoolNode,
  type Readiness,
  type TaskExit,
} from '../core/model.ts'

const NODE_STATES: Record<PoolNode['state']['at'], Node_State> = {
  Ready: Node_State.READY,
  Disconnected: Node_State.DISCONNECTED,
  Lost: Node_State.LOST,
}

const EXECUTION_STATES: Record<Execution['phase']['at'], Execution_State> = {
  Assigned: Execution_State.ASSIGNED,
  Running: Execution_State.RUNNING,
  Stopping: Execution_State.STOPPING,
  Exited: Execution_State.EXITED,
  Freed: Execution_State.EXITED,
}

export function inventoryToProto(inventory: Inventory): InventoryProto {
  return {
    ...inventory,
    cpuMillis: BigInt(inventory.cpuMillis),
    memoryMib: BigInt(inventory.memoryMib),
    devices: inventory.devices.map((device) => {
      return { ...device, memoryMib: BigInt(device.memoryMib) }
    }),
  }
}

/** A node; `devicesUsed` is 0 where it is not asked for. */
export function nodeToProto(node: PoolNode, devicesUsed: number): NodeProto {
  return {
    nodeId: node.nodeId,
    state: NODE_STATES[node.state.at],
    inventory: inventoryToProto(node.inventory),
    supervisorSession: node.supervisorSession,
    sinceMs: BigInt(Math.trunc(node.sinceMs)),
    devicesUsed,
    clockSkewMs: BigInt(Math.trunc(node.clockSkewMs)),
  }
}

function probeToProto(task: DesiredTask['readiness'] & object): ReadinessProbe {
  const { httpGet, ...numbers } = task
  const tcp = { $case: 'tcp', value: true } as const
  const probe = httpGet === '' ? tcp : ({ $case: 'httpGet', value: httpGet } as const)
  return { ...numbers, probe }
}

export function keyToProto(key: ExecutionKey): ExecutionKeyProto {
  return { jobId: key.jobId, gang: key.gang, generation: key.generation, rank: key.rank }
}

export function exitToProto(exit: TaskExit): TaskExitProto {
  return {
    cause: TaskExit_Cause[exit.cause],
    exitCode: exit.exitCode,
    signal: exit.signal,
    message: exit.message,
    atMs: BigInt(Math.trunc(exit.atMs)),
  }
}

export function executionToProto(execution: Execution, grant: Grant): ExecutionProto {
  const { phase, readiness } = execution
  const exit = phase.at === 'Exited' || phase.at === 'Freed' ? phase.exit : null
  return {
    jobId: execution.jobId,
    gang: execution.gang,
    generation: execution.generation,
    rank: execution.rank,
    nodeId: execution.nodeId,
    deviceIndexes: [...devicesOfRank(grant, execution.rank)],
    state: EXECUTION_STATES[phase.at],
    startedMs: BigInt(Math.trunc(phase.at === 'Assigned' ? 0 : phase.startedMs)),
    exit: exit === null ? undefined : exitToProto(exit),
    readiness: readiness && readinessToProto(readiness),
  }
}

function readinessToProto({ ready, cause, atMs }: Readiness): ReadinessProto {
  return { ready, cause, atMs: BigInt(Math.trunc(atMs)) }
}

export function assignmentToProto(task: DesiredTask): Assignment {
  return {
    key: keyToProto(task.key),
    tenant: task.tenant,
    command: [...task.command],
    env: { ...task.env },
    deviceIndexes: [...task.deviceIndexes],
    cpuMillis: BigInt(task.cpuMillis),
    memoryMib: BigInt(task.memoryMib),
    ports: [...task.ports],
    workspace: task.workspace,
    exclusive: task.exclusive,
    stopGraceMs: BigInt(task.stopGraceMs),
    logMaxBytes: BigInt(task.logMaxBytes),
    readiness: task.readiness && probeToProto(task.readiness),
    notice: task.notice && {
      ...task.notice,
      deadlineMs: BigInt(Math.ceil(task.notice.deadlineMs)),
    },
  }
}
