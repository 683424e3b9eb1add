/** Devices: how many there are, who holds them, what is free. */
import type { AutoscalerState, Target } from './model.ts'

/** Devices of the cell. */
export interface Devices {
  /** Undefined: no node was told yet. */
  readonly total: number | undefined
  readonly free: number
  /** Job → devices that it holds on nodes that are ready. */
  readonly byJob: ReadonlyMap<string, number>
}

/** What nodes that are ready have, and what of it is held by whom. */
export function devicesNow(state: AutoscalerState): Devices {
  const used = new Map<string, number>()
  const byJob = new Map<string, number>()
  for (const holding of state.holdings.values()) {
    for (const [nodeId, ranks] of holding.ranks) {
      const devices = ranks * holding.devicesEach
      used.set(nodeId, (used.get(nodeId) ?? 0) + devices)
      if (state.nodes.get(nodeId)?.ready !== true) continue
      byJob.set(holding.jobId, (byJob.get(holding.jobId) ?? 0) + devices)
    }
  }
  let total = 0
  let free = 0
  for (const [nodeId, { devices, ready }] of state.nodes) {
    if (!ready) continue
    total += devices
    free += Math.max(0, devices - (used.get(nodeId) ?? 0))
  }
  return { total: state.nodes.size === 0 ? undefined : total, free, byJob }
}

/**
 * Devices that a queue's maximum leaves for a job beside what others in it hold; undefined =
 * nothing is known of its queue.
 */
export function quotaFor(
  state: AutoscalerState,
  target: Pick<Target, 'jobId' | 'queue'>,
  byJob: ReadonlyMap<string, number>,
): number | undefined {
  const most = state.queues.get(target.queue)
  if (most === undefined) return undefined
  if (most === 0) return Number.MAX_SAFE_INTEGER
  let used = 0
  for (const [jobId, devices] of byJob) {
    if (jobId === target.jobId) continue
    const queue = state.targets.get(jobId)?.queue ?? state.jobQueues.get(jobId)
    if (queue === target.queue) used += devices
  }
  return Math.max(0, most - used)
}
