/** Who decides for a target, and what keeps a decision from being carried out now. */
import type { AutoscalerState, Target } from './model.ts'

/** Name under which the autoscaler owns a scale. */
export const OWNER = 'autoscaler'

/** Whether the autoscaler may carry out what it decides for it. */
export const isOurs = ({ mode, scale }: Target): boolean =>
  mode === 'automatic' && scale !== undefined && (scale.owner === '' || scale.owner === OWNER)

/** Whether its number may change at all. */
export const isFixed = ({ scale }: Target): boolean =>
  scale === undefined || scale.min === scale.max

/** Why nothing is carried out now; undefined = it is. */
export function whyBlocked(target: Target, atMs: number): string | undefined {
  const { scale, pending, blocked, staleVersion } = target
  if (scale === undefined) return 'PENDING'
  if (target.mode !== 'automatic') return 'MODE'
  if (!isOurs(target)) return 'OWNED'
  if (pending !== undefined || scale.version < staleVersion) return 'PENDING'
  if (blocked !== undefined && atMs < blocked.untilMs) return blocked.code
  return atMs < scale.notBeforeMs ? 'COOLDOWN' : undefined
}

/** Whether a training job runs, so that its size may be thought of. */
export const isTraining = (target: Target): boolean =>
  target.scale?.unit === 'tasks' && target.taskDevices > 0

/** Tasks that a training job has, or is about to have again; 0 = it does not run. */
export function tasksOf({ scale, jobState }: Target): number {
  if (scale === undefined) return 0
  if (scale.granted > 0) return scale.granted
  return jobState === 'Queued' || jobState === '' ? 0 : scale.wanted
}

/** Codes of those who wait for devices. */
export const SHORT: ReadonlySet<string> = new Set(['CAPACITY_WAIT', 'GANG_INCOMPLETE'])

/** Whether a job waits for devices: nothing grows into what is free meanwhile. */
export function someWait(state: AutoscalerState): boolean {
  if (state.waiting.size > 0) return true
  for (const target of state.targets.values()) {
    const { scale, waiting } = target
    if (scale?.unit === 'tasks' && tasksOf(target) === 0 && SHORT.has(waiting)) return true
  }
  return false
}

/** Replicas that are wanted, or asked for and not answered; tasks that training has. */
export function promisedCount(target: Target): number {
  if (isTraining(target)) return tasksOf(target)
  return Math.max(target.scale?.wanted ?? 0, target.pending?.wanted ?? 0)
}

/** Whether its size must not be touched now: it changes, starts, or did a moment ago. */
export function isSettling(target: Target, atMs: number): boolean {
  const { scale, jobState, resizing, restartMs } = target
  if (scale === undefined || whyBlocked(target, atMs) !== undefined) return true
  if (jobState !== 'Running' || resizing !== undefined) return true
  return restartMs > 0 && scale.version > 1 && atMs < scale.changedMs + restartMs
}
