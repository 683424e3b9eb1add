import type { Agent } from 'node:http'
import { agentOf, good, PATH, token } from './common.ts'
import { type Answer, type Load, openLoop } from './open-loop.ts'
import { type Part, routeTo, service, startGateway, startReplica } from './parts.ts'

/** Time of a request at its replica, ms: by class, and between tenants. */
const CLASS_WORK_MS = 100
const TENANT_WORK_MS = 250
const CONCURRENCY = 8
const OVERLOAD_MS = 15_000
/** What of it is looked at: queues are full by then. */
const SETTLED_MS = 3_000
const OBJECTIVE_MS = 600

interface Overload {
  readonly gateway: Part
  readonly agent: Agent
  readonly url: string
  /** Requests per second that the replicas can do. */
  readonly capacity: number
}

async function withOverload<T>(
  init: { settings: Parameters<typeof startGateway>[0]; workMs: number },
  run: (about: Overload) => Promise<T>,
): Promise<T> {
  const gateway = await startGateway(init.settings)
  const replicas = [await startReplica(), await startReplica()]
  const agent = agentOf()
  try {
    const routes = replicas.map((part, index) => routeTo(part, index + 1))
    await gateway.ask({ type: 'routes', services: [service(routes, { concurrency: CONCURRENCY })] })
    const url = `http://${gateway.address}${PATH}/work?ms=${init.workMs}`
    const capacity = (replicas.length * CONCURRENCY * 1_000) / init.workMs
    await openLoop({ url, agent, headers: token('t0'), rate: 50 }, { seed: 1, durationMs: 1_000 })
    return await run({ gateway, agent, url, capacity })
  } finally {
    agent.destroy()
    await gateway.stop()
    for (const part of replicas) await part.stop()
  }
}

const settled = (answers: readonly Answer[]) =>
  answers.filter(({ dueMs }) => dueMs >= SETTLED_MS && dueMs < OVERLOAD_MS)

/** Part of the requests that were answered within the objective. */
const goodput = (answers: readonly Answer[]): number => {
  const seen = settled(answers)
  return good(seen).filter(({ latencyMs }) => latencyMs <= OBJECTIVE_MS).length / seen.length
}

/** Twice the capacity in three classes. */
export function overloadByClass(options: { seed: number }): Promise<Record<string, number>> {
  const settings = { timeoutMs: 2_000, heldPerTenant: 64, heldPerService: 128 }
  const init = { settings, workMs: CLASS_WORK_MS }
  return withOverload(init, async ({ agent, url, capacity }) => {
    const of = (name: string, part: number): Load => ({
      url,
      agent,
      headers: { ...token('t0'), 'x-sai-class': name },
      rate: capacity * part,
    })
    const about = { seed: options.seed, durationMs: OVERLOAD_MS }
    const alone = await openLoop(of('interactive', 0.3), about)
    const [top, middle, low] = await Promise.all([
      openLoop(of('interactive', 0.3), about),
      openLoop(of('standard', 0.85), { ...about, seed: about.seed + 1 }),
      openLoop(of('batch', 0.85), { ...about, seed: about.seed + 2 }),
    ])
    const served = (answers: readonly Answer[]) =>
      good(settled(answers)).length / settled(answers).length
    return {
      top_class_goodput_of_unloaded: goodput(top) / goodput(alone),
      served_interactive: served(top),
      served_standard: served(middle),
      served_batch: served(low),
    }
  })
}

/** Ten tenants, one with fifty times the load of each other, weights 1 and 2. */
export function fairness(options: { seed: number }): Promise<Record<string, number>> {
  const tenants = Array.from({ length: 10 }, (_, index) => `t${index}`)
  const weights = Object.fromEntries(tenants.map((name, index) => [name, index % 2 === 0 ? 1 : 2]))
  const sum = Object.values(weights).reduce((total, one) => total + one, 0)
  const settings = { weights, shared: ['t0/bench'], timeoutMs: 30_000, heldPerTenant: 64 }
  const init = { settings, workMs: TENANT_WORK_MS }
  return withOverload(init, async ({ agent, url, capacity }) => {
    const heaviest = (capacity * 2) / sum
    const loops = tenants.map(async (name, index) => {
      const rate = heaviest * 1.5 * (index === 0 ? 50 : 1)
      const load = { url, agent, headers: token(name), rate }
      const about = { seed: options.seed + index, durationMs: OVERLOAD_MS }
      return { name, answers: await openLoop(load, about) }
    })
    const all = await Promise.all(loops)
    // By when they were served, not by when they came.
    const servedOf = (answers: readonly Answer[]) =>
      good(answers).filter(({ dueMs, latencyMs }) => {
        const atMs = dueMs + latencyMs
        return atMs >= SETTLED_MS && atMs < OVERLOAD_MS
      }).length
    const served = all.map(({ name, answers }) => ({ name, count: servedOf(answers) }))
    const total = served.reduce((count, one) => count + one.count, 0)
    const off = served.map(({ name, count }) =>
      Math.abs(count / total / ((weights[name] ?? 1) / sum) - 1),
    )
    return { worst_share_off_by: Math.max(...off) }
  })
}
