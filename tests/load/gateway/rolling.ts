import { setTimeout as sleep } from 'node:timers/promises'
import type { ReplicaRoute } from '@serverless-ai/gateway'
import { agentOf, PATH, toGateway } from './common.ts'
import { type Answer, openLoop } from './open-loop.ts'
import { type Part, routeTo, service, startGateway, startReplica } from './parts.ts'

/** Time that a replica is given for what it has, ms. */
const DRAIN_MS = 2_000

/** Replicas come and go under load; nothing may be lost. */
export async function rollingUpdate(options: {
  readonly seed: number
  readonly replacements: number
}): Promise<readonly Answer[]> {
  const gateway = await startGateway()
  const agent = agentOf()
  const parts = new Map<number, Part>()
  let gang = 0
  const add = async (): Promise<number> => {
    gang += 1
    parts.set(gang, await startReplica())
    return gang
  }
  const tell = (draining?: number) => {
    const routes: ReplicaRoute[] = [...parts].map(([of, part]) =>
      routeTo(part, of, { draining: of === draining }),
    )
    return gateway.ask({ type: 'routes', services: [service(routes)] })
  }
  // Each replacement takes its drain and the start of a process.
  const durationMs = options.replacements * (DRAIN_MS + 1_500) + 1_000
  try {
    await add()
    await add()
    await tell()
    const load = toGateway(gateway, agent, {
      url: `http://${gateway.address}${PATH}/work?ms=20`,
      body: 'x'.repeat(200),
    })
    const answers = openLoop(load, { seed: options.seed, durationMs })
    for (let step = 0; step < options.replacements; step += 1) {
      const fresh = await add()
      const old = fresh - 2
      await tell(old)
      // The drain time of the service; what runs there is over long before.
      await sleep(DRAIN_MS)
      const part = parts.get(old)
      parts.delete(old)
      await tell()
      await part?.stop('SIGTERM')
    }
    return await answers
  } finally {
    agent.destroy()
    await gateway.stop()
    for (const part of parts.values()) await part.stop()
  }
}
