import type { ExecutionKey } from './keys.ts'
import type { NodeState } from './node.ts'

/** A task that runs, as it is measured. */
export interface RunningTask {
  readonly key: ExecutionKey
  readonly tenant: string
  /** What it began with. */
  readonly pid: number
}

/** The tasks that run now, or are being stopped. */
export function runningTasks(state: NodeState): readonly RunningTask[] {
  return [...state.held.values()].flatMap(({ key, assignment, phase }): RunningTask[] => {
    if (assignment === undefined) return []
    if (phase.at !== 'running' && phase.at !== 'stopping') return []
    return [{ key, tenant: assignment.tenant, pid: phase.pid }]
  })
}

/** The step of a progress line of a report file; undefined when it has none. */
export function stepOf(json: string): number | undefined {
  if (!json.includes('"progress"')) return undefined
  try {
    const value: unknown = JSON.parse(json)
    if (typeof value !== 'object' || value === null || !('kind' in value) || !('step' in value)) {
      return undefined
    }
    const { kind, step } = value
    return kind === 'progress' && Number.isSafeInteger(step) && Number(step) >= 0
      ? Number(step)
      : undefined
  } catch {
    return undefined
  }
}
