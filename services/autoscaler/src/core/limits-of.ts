/** Between what a service's number of replicas has to stay: its own, the fleet's, its tenant's. */
import { isOurs, isSettling, isTraining, promisedCount, tasksOf } from './control.ts'
import { type Devices, quotaFor } from './fleet.ts'
import type { AutoscalerState, Target } from './model.ts'
import type { Limits } from './observation.ts'

const PLENTY = Number.MAX_SAFE_INTEGER

/** Devices of one replica, or of one task. */
export const devicesEach = (target: Target): number =>
  target.service?.devicesEach ?? target.taskDevices

/** Devices that a target holds with replicas that stay: draining ones serve nobody else yet. */
export function heldBy(target: Target, devices: Devices): number {
  const held = devices.byJob.get(target.jobId) ?? 0
  return Math.max(0, held - (target.scale?.draining ?? 0) * devicesEach(target))
}

/** Devices that a target will hold and does not yet. */
export function promised(target: Target, devices: Devices): number {
  return Math.max(0, promisedCount(target) * devicesEach(target) - heldBy(target, devices))
}

/** Devices that training would leave for a service. */
export function leavable(state: AutoscalerState, atMs: number): number {
  let sum = 0
  for (const target of state.targets.values()) {
    if (!isTraining(target) || !isOurs(target) || isSettling(target, atMs)) continue
    sum += Math.max(0, tasksOf(target) - (target.scale?.min ?? 0)) * target.taskDevices
  }
  return sum
}

/** The limits of a service. What it has is never above them: they keep it from growing. */
export function limitsOf(
  state: AutoscalerState,
  target: Target,
  of: { readonly devices: Devices; readonly leavable: number },
): Limits {
  const { devices } = of
  const { min = 0, max = 0, wanted = 0 } = target.scale ?? {}
  const each = devicesEach(target)
  const floor = Math.min(max, Math.max(min, target.urgent?.least ?? 0))
  if (each === 0) return { floor, ceiling: max, budget: PLENTY, quota: PLENTY }
  let others = 0
  for (const other of state.targets.values()) {
    if (other !== target) others += promised(other, devices)
  }
  const own = heldBy(target, devices)
  const room = Math.max(0, devices.free - others + of.leavable + own)
  const budget = devices.total === undefined ? undefined : Math.floor(room / each)
  const left = quotaFor(state, target, devices.byJob)
  const quota = left === undefined ? undefined : Math.floor(left / each)
  const atLeast = (count: number | undefined) =>
    count === undefined ? undefined : Math.max(count, wanted)
  return { floor, ceiling: max, budget: atLeast(budget), quota: atLeast(quota) }
}
