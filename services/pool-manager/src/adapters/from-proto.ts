import {
  type ExecutionKey as ExecutionKeyProto,
  type ExecutionReport,
  type ExecutionStatus,
  ExecutionStatus_State,
} from '@serverless-ai/contracts/agent/v1/agent'
import { exitCauseName } from '@serverless-ai/contracts/names'
import type {
  Inventory as InventoryProto,
  TaskExit as TaskExitProto,
} from '@serverless-ai/contracts/pool/v1/pool'
import type {
  ExecutionKey,
  Inventory,
  ReportedExecution,
  ReportedLine,
  TaskExit,
} from '../core/model.ts'

const STATES: ReadonlyMap<number, ReportedExecution['state']> = new Map([
  [ExecutionStatus_State.PREPARING, 'PREPARING'],
  [ExecutionStatus_State.RUNNING, 'RUNNING'],
  [ExecutionStatus_State.STOPPING, 'STOPPING'],
  [ExecutionStatus_State.EXITED, 'EXITED'],
])

/** An inventory; a missing one is an empty one. */
export function inventoryFromProto(inventory: InventoryProto | undefined): Inventory {
  return {
    cpuMillis: Number(inventory?.cpuMillis ?? 0n),
    memoryMib: Number(inventory?.memoryMib ?? 0n),
    devices: (inventory?.devices ?? []).map((device) => ({
      index: device.index,
      uuid: device.uuid,
      model: device.model,
      memoryMib: Number(device.memoryMib),
      emulated: device.emulated,
      healthy: device.healthy,
    })),
    address: inventory?.address ?? '',
    portFirst: inventory?.portFirst ?? 0,
    portLast: inventory?.portLast ?? 0,
    labels: { ...inventory?.labels },
    agentVersion: inventory?.agentVersion ?? '',
    isolation: inventory?.isolation ?? '',
  }
}

/** Undefined without a job id: such a key names nothing. */
export function keyFromProto(key: ExecutionKeyProto | undefined): ExecutionKey | undefined {
  if (key === undefined || key.jobId === '') return undefined
  return { jobId: key.jobId, gang: key.gang, generation: key.generation, rank: key.rank }
}

/** Null when there is none, or one of a cause this version does not know. */
export function exitFromProto(exit: TaskExitProto | undefined): TaskExit | null {
  const cause = exitCauseName(exit?.cause ?? -1)
  if (exit === undefined || cause === undefined) return null
  const { exitCode, signal, message } = exit
  return { cause, exitCode, signal, message, atMs: Number(exit.atMs) }
}

function executionFromProto(status: ExecutionStatus): readonly ReportedExecution[] {
  const key = keyFromProto(status.key)
  const state = STATES.get(status.state)
  if (key === undefined || state === undefined) return []
  const startedMs = Number(status.startedMs)
  const { readiness } = status
  const found = readiness && { ...readiness, atMs: Number(readiness.atMs) }
  const exit = exitFromProto(status.exit)
  return [{ key, state, startedMs, exit, ...(found === undefined ? {} : { readiness: found }) }]
}

/** Executions and lines of a report; what names nothing is left out. */
export function reportFromProto(report: ExecutionReport): {
  readonly executions: readonly ReportedExecution[]
  readonly lines: readonly ReportedLine[]
} {
  const lines = report.taskReports.flatMap((line) => {
    const key = keyFromProto(line.key)
    return key === undefined ? [] : [{ key, line: Number(line.line), json: line.json }]
  })
  return { executions: report.executions.flatMap(executionFromProto), lines }
}
