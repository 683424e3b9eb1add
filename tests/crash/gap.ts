import { patient } from '../support/environment.ts'
import { SERVICES, type Service } from '../support/fold.ts'
import type { Clients, Platform } from '../support/platform.ts'
import { until } from '../support/until.ts'
import { expirePublicEvents } from './history.ts'

/** A gap is as large as two bootstrap pages. */
const GAP_EVENTS = 500
/**
 * Public events of the stalled run. The publisher records how far it is after 1,000 events, or
 * after some seconds: however slow the machine is, one record is beyond the gap, and one that was
 * due before the end is committed by then.
 */
const MANY_QUEUES = 2_100

/** Clients of the administrator whose channel has noticed that the control plane is there again. */
export async function reachable(platform: Platform): Promise<Clients> {
  const clients = platform.as('admin')
  const ask = async () => clients.admin.getStatus({ withDigest: false })
  await until('the control plane to be reachable', ask, { timeoutMs: patient(30_000) })
  return clients
}

/** Waits until every service has a leader, and nothing that is committed is unpublished. */
export async function allPublished(platform: Platform): Promise<void> {
  await until(
    'public events to be out',
    async () => {
      const partitions = await platform.leaders({ withDigest: false })
      if (partitions.length < SERVICES.length) return undefined
      return partitions.every((one) => one.publishedSeq === one.publicSeq) ? true : undefined
    },
    { timeoutMs: patient(30_000) },
  )
}

/**
 * On a control plane in which no consumer gets the events of `service`: makes many of them, kills
 * it, and lets them expire, so that the consumers' marks point before the start of the topic.
 * Returns a sentence when there is no gap after all.
 */
export async function makeGap(platform: Platform, service: Service): Promise<string[]> {
  await platform.ready(90_000)
  const clients = await reachable(platform)
  const stamp = Date.now().toString(36)
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < MANY_QUEUES) {
      const name = `q-${stamp}-${next++}`
      await clients.queues.createQueue({
        requestId: '',
        queue: { name, tenant: 'team-a', weight: 1, priority: 0, maximum: undefined },
      })
    }
  }
  await Promise.all(Array.from({ length: 32 }, worker))
  await allPublished(platform)
  await platform.kill()
  const expired = await expirePublicEvents(platform.dataDir, service)
  return expired < GAP_EVENTS ? [`only ${expired} public events expired: no gap`] : []
}
