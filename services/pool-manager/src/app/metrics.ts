import type { Metrics } from '@serverless-ai/hosting/process'
import { devicesOfRank, type PoolNode } from '../core/model.ts'
import { executionsOn, membershipOf, type PoolState } from '../core/state.ts'
import type { PoolRuntime } from './definition.ts'

/** Longest wait of a scrape for a state that may be read, ms. */
const READ_TIMEOUT_MS = 1_000

type Counts = Map<string, number>

interface PoolCounts {
  readonly nodes: Counts
  /** By `<state>/<emulated>`. */
  readonly devices: Counts
  readonly executions: Counts
}

const count = (counts: Counts, key: string) => counts.set(key, (counts.get(key) ?? 0) + 1)

function countNode(state: PoolState, node: PoolNode, into: PoolCounts): void {
  const ready = node.state.at === 'Ready'
  const used = new Set<number>()
  count(into.nodes, node.state.at)
  for (const execution of executionsOn(state, node.nodeId)) {
    count(into.executions, execution.phase.at)
    const { grant } = membershipOf(state, execution)
    for (const index of devicesOfRank(grant, execution.rank)) used.add(index)
  }
  for (const { index, healthy, emulated } of node.inventory.devices) {
    const held = used.has(index) ? 'used' : 'free'
    const found = !ready ? 'away' : healthy ? held : 'unhealthy'
    count(into.devices, `${found}/${emulated}`)
  }
}

function countPool(state: PoolState): PoolCounts {
  const counts = { nodes: new Map(), devices: new Map(), executions: new Map() }
  for (const node of state.nodes.values()) countNode(state, node, counts)
  return counts
}

/** Nodes, devices and runs of tasks from the leader's state at each scrape. */
export function watchPool(metrics: Metrics, runtime: PoolRuntime): void {
  const { service } = runtime
  metrics.onScrape(async () => {
    if (runtime.status().role !== 'Leading') return
    const { value } = await runtime.read(countPool, { timeoutMs: READ_TIMEOUT_MS })
    for (const name of ['sai_pool_nodes', 'sai_pool_devices', 'sai_pool_executions'] as const) {
      metrics.zero(name, { service })
    }
    for (const [state, nodes] of value.nodes)
      metrics.set('sai_pool_nodes', { service, state }, nodes)
    for (const [key, devices] of value.devices) {
      const [state = '', emulated = ''] = key.split('/')
      metrics.set('sai_pool_devices', { service, state, emulated }, devices)
    }
    for (const [state, runs] of value.executions) {
      metrics.set('sai_pool_executions', { service, state }, runs)
    }
  })
}
