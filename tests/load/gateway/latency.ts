import { type Metric, metric, quantile } from '../report.ts'
import { agentOf, latency, RATE, refuseLosses, toGateway } from './common.ts'
import { type Answer, type Load, openLoop } from './open-loop.ts'
import { routeTo, service, startGateway, startNginx, startReplica } from './parts.ts'

export const SLICE_MS = 20_000
/** So long each is asked before it counts: until its code is compiled. */
const WARM_UP_MS = 15_000

/** Direct, through the gateway and through nginx, in turns: what each adds. */
export async function addedLatency(options: { reps: number; seed: number }): Promise<Metric[]> {
  const replica = await startReplica()
  const gateway = await startGateway()
  const nginx = await startNginx(replica.address)
  const agent = agentOf()
  try {
    const services = [service([routeTo(replica, 1)])]
    await gateway.ask({ type: 'routes', services })
    const arms: Record<string, Load> = {
      direct: { url: `http://${replica.address}/`, agent, rate: RATE },
      gateway: toGateway(gateway, agent),
      ...(nginx && { nginx: { url: `http://127.0.0.1:${nginx.port}/`, agent, rate: RATE } }),
    }
    const names = Object.keys(arms)
    const found: Record<string, number[]> = {}
    const note = (name: string, value: number): void => {
      found[name] = [...(found[name] ?? []), value]
    }
    for (const name of names) await openLoop(arms[name]!, { seed: 1, durationMs: WARM_UP_MS })
    for (let rep = 0; rep < options.reps; rep += 1) {
      const at: Record<string, readonly Answer[]> = {}
      for (let turn = 0; turn < names.length; turn += 1) {
        const name = names[(turn + rep) % names.length]!
        const seed = options.seed * 1_000 + rep
        at[name] = await openLoop(arms[name]!, { seed, durationMs: SLICE_MS })
        refuseLosses(name, at[name])
      }
      for (const [label, fraction] of [
        ['p50', 0.5],
        ['p99', 0.99],
      ] as const) {
        const direct = latency(at['direct']!, fraction)
        note(`direct_${label}`, direct)
        for (const name of names.slice(1)) {
          note(`${name}_added_${label}`, latency(at[name]!, fraction) - direct)
        }
      }
    }
    return Object.entries(found).map(([name, values]) => {
      const [, label] = /^gateway_added_(p\d+)$/.exec(name) ?? []
      const beside = label === undefined ? undefined : found[`nginx_added_${label}`]
      const budget = beside && 2 * Math.max(0, quantile(beside, 0.5)) + 1
      return metric(`${name}_ms`, 'ms', values, {
        better: 'lower',
        ...(budget !== undefined && { budget }),
      })
    })
  } finally {
    agent.destroy()
    await nginx?.stop()
    await gateway.stop()
    await replica.stop()
  }
}
