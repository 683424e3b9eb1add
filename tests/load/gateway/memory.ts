import { Agent, request } from 'node:http'
import { type Metric, metric } from '../report.ts'
import { PATH, toGateway, token } from './common.ts'
import { openLoop } from './open-loop.ts'
import { routeTo, service, startGateway, startReplica } from './parts.ts'

export const STREAMS = 5_000
const STREAM_BYTES_MAX = 65_536

/** Opens a stream and resolves when its first event is there; the stream stays open. */
function openStream(url: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const one = request(url, { agent, headers: token('t0') }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`))
      response.once('data', () => resolve())
    })
    one.once('error', reject)
    one.end()
  })
}

/** Resident memory of a gateway for each of many open streams. */
export async function memoryPerStream(options: { reps: number }): Promise<Metric[]> {
  const values: number[] = []
  for (let rep = 0; rep < Math.min(3, options.reps); rep += 1) {
    const replica = await startReplica()
    const gateway = await startGateway()
    const agent = new Agent({ keepAlive: true, maxSockets: STREAMS + 100 })
    try {
      const services = [service([routeTo(replica, 1)], { concurrency: STREAMS + 100 })]
      await gateway.ask({ type: 'routes', services })
      // Code and caches are there before the first measurement.
      await openLoop(toGateway(gateway, agent), { seed: rep, durationMs: 1_000 })
      const before = await gateway.ask({ type: 'memory' })
      const url = `http://${gateway.address}${PATH}/stream`
      for (let opened = 0; opened < STREAMS; opened += 100) {
        await Promise.all(Array.from({ length: 100 }, () => openStream(url, agent)))
      }
      const after = await gateway.ask({ type: 'memory' })
      if (after.requests !== STREAMS) throw new Error(`${after.requests} streams are open`)
      values.push(((after.rssBytes ?? 0) - (before.rssBytes ?? 0)) / STREAMS)
    } finally {
      agent.destroy()
      await gateway.stop()
      await replica.stop()
    }
  }
  return [
    metric('rss_per_open_stream_bytes', 'bytes', values, {
      better: 'lower',
      budget: STREAM_BYTES_MAX,
    }),
  ]
}
