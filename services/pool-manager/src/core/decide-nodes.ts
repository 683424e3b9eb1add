import { accept, type DecideContext, type Decision, refuse } from '@serverless-ai/kernel'
import type { DisconnectNode, LoseNode, PoolEvent, RegisterNode } from './messages.ts'
import {
  compareKeys,
  type Execution,
  hasEnded,
  type Inventory,
  keyOf,
  type PoolNode,
  type TaskExit,
} from './model.ts'
import { executionsOn, type PoolState } from './state.ts'

/** A node registers: always taken; whatever its executions are, its first report says. */
export function registerNode(command: RegisterNode, state: PoolState): Decision<PoolEvent> {
  const { nodeId, supervisorSession, inventory, clockSkewMs, leaseMs } = command
  const change = whatChanged(command, state.nodes.get(nodeId))
  const node = { nodeId, supervisorSession, inventory, clockSkewMs, leaseMs }
  return accept([{ type: 'NodeRegistered', ...node, change }], {
    answer: { registration: (state.nodes.get(nodeId)?.registration ?? 0) + 1 },
  })
}

function whatChanged(command: RegisterNode, node: PoolNode | undefined): string {
  if (node === undefined) return 'first registration'
  const changes: string[] = []
  if (node.state.at === 'Disconnected') changes.push('connected again')
  if (node.state.at === 'Lost') changes.push('back after it was believed lost')
  if (node.supervisorSession !== command.supervisorSession) changes.push('supervisor started anew')
  if (!sameInventory(node.inventory, command.inventory)) changes.push('inventory changed')
  if (node.clockSkewMs !== command.clockSkewMs) changes.push('clock skew changed')
  return changes.join(', ')
}

function sameInventory(a: Inventory, b: Inventory): boolean {
  return stable(a) === stable(b)
}

function stable(inventory: Inventory): string {
  const labels = Object.entries(inventory.labels).sort(([x], [y]) => (x < y ? -1 : 1))
  const { cpuMillis, memoryMib, devices, address, portFirst, portLast } = inventory
  const { agentVersion, isolation } = inventory
  return JSON.stringify([
    [cpuMillis, memoryMib, address, portFirst, portLast, agentVersion, isolation],
    devices.map((d) => [d.index, d.uuid, d.model, d.memoryMib, d.emulated, d.healthy]),
    labels,
  ])
}

/** A stream ended: nothing happens to the executions. */
export function disconnectNode(command: DisconnectNode, state: PoolState): Decision<PoolEvent> {
  const node = state.nodes.get(command.nodeId)
  if (node === undefined) return refuse('NODE_NOT_FOUND', { nodeId: command.nodeId })
  if (node.registration !== command.registration) return nodeIsBack(node, command.registration)
  if (node.state.at !== 'Ready') return accept([])
  return accept([{ type: 'NodeDisconnected', nodeId: node.nodeId, cause: command.cause }])
}

/**
 * A node is believed lost. Its tasks are over for their jobs; their devices stay taken until the
 * node is back, except where nothing was ever sent to it.
 */
export function loseNode(
  command: LoseNode,
  state: PoolState,
  context: DecideContext,
): Decision<PoolEvent> {
  const node = state.nodes.get(command.nodeId)
  if (node === undefined) return refuse('NODE_NOT_FOUND', { nodeId: command.nodeId })
  if (node.registration !== command.registration) return nodeIsBack(node, command.registration)
  if (node.state.at === 'Lost') return accept([])
  const { nodeId } = node
  const events: PoolEvent[] = [{ type: 'NodeLost', nodeId, silentMs: command.silentMs }]
  const held = [...executionsOn(state, nodeId)].sort(compareKeys)
  const message = `node ${nodeId} gave no sign of life for ${command.silentMs} ms`
  for (const execution of held) {
    if (hasEnded(execution)) continue
    const exit = platformExit('NODE_LOST', message, Math.max(0, context.atMs - command.silentMs))
    events.push(...noMore(execution, message, context.atMs))
    events.push({ type: 'TaskExited', key: keyOf(execution), exit })
  }
  events.push(...freedEvents(held.filter((execution) => execution.session === '')))
  return accept(events)
}

function nodeIsBack(node: PoolNode, seen: number): Decision<PoolEvent> {
  return refuse('NODE_IS_BACK', { nodeId: node.nodeId, registration: node.registration, seen })
}

/** A task that took requests takes no more. */
export function noMore(execution: Execution, cause: string, atMs: number): readonly PoolEvent[] {
  if (execution.readiness?.ready !== true) return []
  const readiness = { ready: false, cause, atMs }
  return [{ type: 'TaskReadinessObserved', key: keyOf(execution), readiness }]
}

/** An exit the node did not report itself. */
export function platformExit(
  cause: 'NODE_LOST' | 'SUPERVISOR_LOST',
  message: string,
  atMs: number,
): TaskExit {
  return { cause, exitCode: -1, signal: '', message, atMs }
}

/** `DevicesFreed` of executions, one event per generation and node; `executions` in key order. */
export function freedEvents(executions: readonly Execution[]): readonly PoolEvent[] {
  const groups = new Map<string, { first: Execution; ranks: number[] }>()
  for (const execution of executions) {
    const { jobId, gang, generation, nodeId, rank } = execution
    const id = JSON.stringify([jobId, gang, generation, nodeId])
    const group = groups.get(id)
    if (group === undefined) groups.set(id, { first: execution, ranks: [rank] })
    else group.ranks.push(rank)
  }
  return [...groups.values()].map(({ first, ranks }) => ({
    type: 'DevicesFreed',
    jobId: first.jobId,
    gang: first.gang,
    generation: first.generation,
    ranks,
    nodeId: first.nodeId,
  }))
}
