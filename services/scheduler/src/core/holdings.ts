import { invariant } from '@serverless-ai/kernel'
import type { Holding, SchedulerState } from './state.ts'
import { holdingKey, unitOf } from './state.ts'

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

/**
 * Gives back for a moment what a holding still holds, to see what would fit without it. The answer
 * takes it again, exactly as it was.
 */
export function lend(state: SchedulerState, holding: Holding): () => void {
  const { fleet } = state
  const { perTask, nodes, tasksOnNode, freed, ports } = holding
  const parts: { node: number; devices: number[]; tasks: number }[] = []
  let rank = 0
  nodes.forEach((node, i) => {
    const part = { node, devices: [] as number[], tasks: 0 }
    for (const end = rank + tasksOnNode[i]!; rank < end; rank++) {
      if (freed[rank] === 1) continue
      part.tasks++
      part.devices.push(...devicesOf(holding, rank))
    }
    if (part.tasks > 0) parts.push(part)
  })
  const first = nodes[0]!
  const held = freed[0] === 0 ? ports : []
  const next = fleet.ports.next(first)
  for (const { node, devices, tasks } of parts) fleet.give(node, devices, perTask, tasks)
  fleet.ports.give(first, held)
  return () => {
    for (const { node, devices, tasks } of parts) fleet.take(node, devices, perTask, tasks)
    fleet.ports.take(first, held)
    fleet.ports.setNext(first, next)
  }
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
  const job = unitOf(state, event.jobId, event.gang)
  const over = job === undefined || job.releasedThrough >= event.generation
  if (over && holding.held === 0) state.holdings.delete(key)
}
