import type { Principal } from '@serverless-ai/kernel'
import { seesTenant } from '@serverless-ai/rpc'
import { poolError } from '../adapters/errors.ts'
import {
  compareKeys,
  type Execution,
  type ExecutionKey,
  type Gang,
  type Grant,
  keyOf,
  type TaskExit,
} from '../core/model.ts'
import type { PoolState } from '../core/state.ts'

/** An execution, copied out of the state. */
export interface ExecutionView {
  readonly key: ExecutionKey
  readonly nodeId: string
  readonly phase: Execution['phase']['at']
  readonly exit: TaskExit | null
  /** True when its node is believed lost. */
  readonly nodeLost: boolean
}

/** A job's gangs as this caller may see them. Throws JOB_NOT_FOUND for another tenant's. */
export function gangsFor(state: PoolState, jobId: string, principal: Principal): readonly Gang[] {
  const keys = [...(state.gangsOfJob.get(jobId) ?? [])]
  const gangs = keys.flatMap((key) => state.gangs.get(key) ?? [])
  const visible = gangs.filter(
    (gang) => gang.grantedThrough > 0 && seesTenant(principal, gang.tenant),
  )
  if (visible.length === 0) throw poolError('JOB_NOT_FOUND', { job: jobId })
  return visible.sort((a, b) => a.gang - b.gang)
}

/** Executions with their grants, by generation, then rank. */
export function executionsOf(
  gangs: readonly Gang[],
): readonly { readonly execution: Execution; readonly grant: Grant }[] {
  return gangs
    .flatMap((gang) => [...gang.memberships.values()])
    .flatMap(({ grant, executions }) => executions.map((execution) => ({ execution, grant })))
    .sort(
      (a, b) =>
        a.execution.generation - b.execution.generation || compareKeys(a.execution, b.execution),
    )
}

/** A copy that outlives the read. */
export function viewOf(state: PoolState, execution: Execution): ExecutionView {
  const { phase, nodeId } = execution
  const exit = phase.at === 'Exited' || phase.at === 'Freed' ? phase.exit : null
  const nodeLost = state.nodes.get(nodeId)?.state.at === 'Lost'
  return { key: keyOf(execution), nodeId, phase: phase.at, exit, nodeLost }
}

/** True for an end that a user would call a failure. */
function hasFailed({ exit }: ExecutionView): boolean {
  if (exit === null) return false
  switch (exit.cause) {
    case 'EXITED':
      return exit.exitCode !== 0 || exit.signal !== ''
    case 'STOPPED':
    case 'NODE_SHUTDOWN':
    case 'LEASE_LAPSED':
      return false
    default:
      return true
  }
}

/** The execution that failed first. */
export function firstFailing(views: readonly ExecutionView[]): ExecutionView | undefined {
  const failed = views.filter(hasFailed)
  return failed.sort((a, b) => (a.exit?.atMs ?? 0) - (b.exit?.atMs ?? 0))[0]
}
