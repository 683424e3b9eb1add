import {
  type Assignment as AssignmentProto,
  type DesiredVersion as DesiredVersionProto,
  type ExecutionKey as ExecutionKeyProto,
  type ExecutionReport as ExecutionReportProto,
  ExecutionStatus_State,
  type Notice as NoticeProto,
} from '@serverless-ai/contracts/agent/v1/agent'
import {
  type Inventory as InventoryProto,
  type ReadinessProbe as ReadinessProbeProto,
  TaskExit_Cause,
  type TaskExit as TaskExitProto,
} from '@serverless-ai/contracts/pool/v1/pool'
import type { NodeDevice } from '../../core/inventory.ts'
import { type DesiredVersion, type ExecutionKey, NO_VERSION } from '../../core/keys.ts'
import type { Report } from '../../core/outbox.ts'
import { type ReadinessProbe, usableProbe } from '../../core/probe.ts'
import type { Assignment, Notice, ReportedState, TaskExit } from '../../core/types.ts'

/** Size of a log file when the assignment names none, bytes. */
const LOG_DEFAULT_BYTES = 64 * 1024 * 1024
/** A smaller file would be rotated all the time, bytes. */
const LOG_MIN_BYTES = 64 * 1024
/** Longest time between SIGTERM and SIGKILL, ms. */
const GRACE_MAX_MS = 3_600_000

const STATES: Readonly<Record<ReportedState, ExecutionStatus_State>> = {
  PREPARING: ExecutionStatus_State.PREPARING,
  RUNNING: ExecutionStatus_State.RUNNING,
  STOPPING: ExecutionStatus_State.STOPPING,
  EXITED: ExecutionStatus_State.EXITED,
}

/** Key of an execution from the wire; undefined when it is missing. */
export function keyFromProto(key: ExecutionKeyProto | undefined): ExecutionKey | undefined {
  if (key === undefined) return undefined
  return { jobId: key.jobId, gang: key.gang, generation: key.generation, rank: key.rank }
}

/** Key of an execution for the wire. */
export function keyToProto(key: ExecutionKey): ExecutionKeyProto {
  return { jobId: key.jobId, gang: key.gang, generation: key.generation, rank: key.rank }
}

/** Version of a desired set from the wire. */
export function versionFromProto(version: DesiredVersionProto | undefined): DesiredVersion {
  if (version === undefined) return NO_VERSION
  return { epoch: version.epoch.toString(), position: version.position.toString() }
}

/** Version of a desired set for the wire. */
export function versionToProto(version: DesiredVersion): DesiredVersionProto {
  return { epoch: BigInt(version.epoch), position: BigInt(version.position) }
}

/** What a task gets with its devices. */
export interface DevicesGiven {
  readonly variables: Readonly<Record<string, string>>
  /** What they are bound to, thousandths of a core; undefined = they are not. */
  readonly cpuMillis: number | undefined
}

/**
 * An assignment from the wire, with the node's variables; undefined when it has no key.
 *
 * @param given what follows from the devices of the given indexes
 */
export function assignmentFromProto(
  assignment: AssignmentProto,
  given: (deviceIndexes: readonly number[]) => DevicesGiven,
): Assignment | undefined {
  const key = keyFromProto(assignment.key)
  if (key === undefined) return undefined
  const logBytes = Number(assignment.logMaxBytes)
  const { variables, cpuMillis: deviceCpuMillis } = given(assignment.deviceIndexes)
  return {
    key,
    tenant: assignment.tenant,
    command: assignment.command,
    env: { ...assignment.env, ...variables },
    cpuMillis: Number(assignment.cpuMillis),
    ...(deviceCpuMillis === undefined ? {} : { deviceCpuMillis }),
    memoryMib: Number(assignment.memoryMib),
    ports: assignment.ports,
    workspace: assignment.workspace,
    exclusive: assignment.exclusive,
    stopGraceMs: Math.min(Math.max(0, Number(assignment.stopGraceMs)), GRACE_MAX_MS),
    ...(assignment.readiness === undefined
      ? {}
      : { readiness: probeFromProto(assignment.readiness) }),
    ...(assignment.notice === undefined ? {} : { notice: noticeFromProto(assignment.notice) }),
    logMaxBytes: logBytes <= 0 ? LOG_DEFAULT_BYTES : Math.max(logBytes, LOG_MIN_BYTES),
  }
}

function probeFromProto({ probe, ...numbers }: ReadinessProbeProto): ReadinessProbe {
  const { port, periodMs, timeoutMs, failureThreshold, successThreshold } = numbers
  const httpGet = probe?.$case === 'httpGet' ? probe.value : ''
  const asked = { httpGet, port, periodMs, timeoutMs, failureThreshold, successThreshold }
  return usableProbe(asked)
}

function noticeFromProto({ id, kind, deadlineMs }: NoticeProto): Notice {
  return { id, kind, deadlineMs: Number(deadlineMs) }
}

function exitToProto(exit: TaskExit): TaskExitProto {
  return {
    cause: TaskExit_Cause[exit.cause],
    exitCode: exit.exitCode,
    signal: exit.signal,
    message: exit.message,
    atMs: BigInt(Math.trunc(exit.atMs)),
  }
}

/** A report for the wire. */
export function reportToProto(report: Report): ExecutionReportProto {
  return {
    number: BigInt(report.number),
    applied: versionToProto(report.applied),
    executions: report.executions.map(({ key, state, pid, startedMs, exit, readiness }) => ({
      key: keyToProto(key),
      state: STATES[state],
      pid,
      startedMs: BigInt(Math.trunc(startedMs)),
      exit: exit === null ? undefined : exitToProto(exit),
      readiness: readiness && { ...readiness, atMs: BigInt(Math.trunc(readiness.atMs)) },
    })),
    taskReports: report.taskReports.map(({ key, line, json }) => ({
      key: keyToProto(key),
      line: BigInt(line),
      json,
    })),
  }
}

/** What a node has, as the agent knows it. */
export interface NodeInventory {
  readonly cpuMillis: number
  readonly memoryMib: number
  readonly devices: readonly NodeDevice[]
  readonly address: string
  readonly portFirst: number
  readonly portLast: number
  readonly labels: Readonly<Record<string, string>>
  readonly agentVersion: string
  readonly isolation: string
}

/** An inventory for the wire. */
export function inventoryToProto(inventory: NodeInventory): InventoryProto {
  return {
    cpuMillis: BigInt(inventory.cpuMillis),
    memoryMib: BigInt(inventory.memoryMib),
    devices: inventory.devices.map((device) => ({
      index: device.index,
      uuid: device.uuid,
      model: device.model,
      memoryMib: BigInt(device.memoryMib),
      emulated: device.emulated,
      healthy: device.healthy,
    })),
    address: inventory.address,
    portFirst: inventory.portFirst,
    portLast: inventory.portLast,
    labels: { ...inventory.labels },
    agentVersion: inventory.agentVersion,
    isolation: inventory.isolation,
  }
}
