import { invariant } from '@serverless-ai/kernel'
import type { Holding, SchedulerState } from './state.ts'
import { holdingKey } from './state.ts'

/** Takes what a holding holds (its freed ranks aside) in the fleet. */
export function hold(state: SchedulerState, holding: Holding): void {
  const { perTask, nodes, tasksOnNode } = holding
  let rank = 0
  nodes.forEach((node, i) => {
    const devices: number[] = []
    let tasks = 0
    for (const end = rank + tasksOnNode[i]!; rank < end; rank++) {
      if (holding.freed[rank] === 1) continue
      tasks++
      devices.push(...devicesOf(holding, rank))
    }
    if (tasks > 0) state.fleet.take(node, devices, perTask, tasks)
  })
  if (holding.freed[0] === 0 && holding.ports.length > 0) {
    invariant(state.fleet.ports.take(nodes[0]!, holding.ports), 'a port is given twice')
  }
  const key = holdingKey(holding.jobId, holding.gang, holding.generation)
  invariant(!state.holdings.has(key), `${key} is held twice`)
  state.holdings.set(key, holding)
}

function devicesOf(holding: Holding, rank: number): readonly number[] {
  const { devices } = holding.perTask
  return holding.deviceIndexes.slice(rank * devices, (rank + 1) * devices)
}

/** Frees ranks; ascending. */
export function free(
  state: SchedulerState,
  event: { jobId: string; gang: number; generation: number; ranks: readonly number[] },
): void {
  const key = holdingKey(event.jobId, event.gang, event.generation)
  const holding = state.holdings.get(key)
  invariant(holding !== undefined, `${key} holds nothing`)
  let node = 0
  let below = holding.tasksOnNode[0]!
  for (const rank of event.ranks) {
    invariant(holding.freed[rank] === 0, `rank ${rank} of ${key} freed twice`)
    while (rank >= below) below += holding.tasksOnNode[++node]!
    state.fleet.give(holding.nodes[node]!, devicesOf(holding, rank), holding.perTask, 1)
    if (rank === 0) state.fleet.ports.give(holding.nodes[0]!, holding.ports)
    holding.freed[rank] = 1
    holding.held--
  }
  const job = state.jobs.get(event.jobId)
  const over = job === undefined || job.releasedThrough >= event.generation
  if (over && holding.held === 0) state.holdings.delete(key)
}
