import { Node_State } from '@serverless-ai/contracts/pool/v1/pool'
import { localNodeStatus, stopLocalNode } from '@serverless-ai/node-agent'
import { withLog } from '../support/closed-log.ts'
import type { Clients, Platform } from '../support/platform.ts'
import { processes } from '../support/process-tree.ts'
import { acceptedOf, generationBreaches } from '../support/public-log.ts'
import { until } from '../support/until.ts'
import { allPublished, reachable } from './gap.ts'
import { fold, publicBreaches, type Service } from './history.ts'

/** Where each service's history ended and what it folds to. */
export type Folds = Readonly<Record<string, { readonly position: number; readonly digest: string }>>

/** What the end of a platform came to. */
export interface Ending {
  readonly folded: Folds
  readonly breaches: readonly string[]
}

const ids = (nodes: readonly { nodeId: string }[]): string =>
  nodes.map(({ nodeId }) => nodeId).join(', ')

/** Sentences about nodes that are not there, and about devices that somebody still holds. */
async function capacityBreaches({ pool, queues }: Clients): Promise<string[]> {
  let last = ''
  const free = async (): Promise<true | undefined> => {
    const page = { pageSize: 1_000, pageToken: '', minPosition: '' }
    const { nodes } = await pool.listNodes(page)
    const away = nodes.filter(({ state }) => state !== Node_State.READY)
    const held = nodes.filter(({ devicesUsed }) => devicesUsed > 0)
    const list = await queues.listQueues(page)
    const busy = list.queues.filter((one) => one.queuedJobs + one.runningJobs > 0)
    const names = busy.map(({ queue }) => queue?.name).join(', ')
    last = `not ready: ${ids(away)}; devices held: ${ids(held)}; queues with jobs: ${names}`
    return away.length + held.length + busy.length === 0 ? true : undefined
  }
  const waited = until('all nodes to be ready and all devices to be free', free, {
    timeoutMs: 60_000,
  })
  return waited.then(
    () => [],
    (error: unknown) => [`${String(error)}; ${last}`],
  )
}

/** Sentences about processes other than the control plane and one supervisor and agent per node. */
function processBreaches(platform: Platform): string[] {
  const wanted = new Set([process.pid, platform.pid])
  for (const nodeId of platform.nodeIds()) {
    const { supervisor, agent } = platform.node(nodeId)
    wanted.add(supervisor).add(agent)
  }
  return processes()
    .filter(({ pid }) => !wanted.has(pid))
    .filter(({ command, environment }) => `${command}\0${environment}`.includes(platform.dataDir))
    .map(({ pid, command }) => `process ${pid} is left: ${command}`)
}

/** Ends the nodes in order; sentences about what is left of them. */
async function stopNodes(platform: Platform): Promise<string[]> {
  const { dataDir } = platform
  const breaches: string[] = []
  for (const nodeId of platform.nodeIds()) {
    const how = await stopLocalNode({ dataDir, nodeId })
    if (how !== 'stopped') breaches.push(`${nodeId} was ${how}, not stopped`)
    const { state } = localNodeStatus({ dataDir, nodeId })
    if (state !== 'stopped') breaches.push(`${nodeId} still runs`)
  }
  const left = platform.leftovers()
  if (left.length > 0) breaches.push(`processes are left: ${left.join(', ')}`)
  return breaches
}

/**
 * Checks a platform on which all jobs have ended, ends it, and checks its logs: everything is free,
 * nothing of an older generation was accepted after a newer one had started, and what the leaders
 * served is what their logs fold to, from the start as from the newest snapshot.
 */
export async function endOf(platform: Platform): Promise<Ending> {
  const clients = await reachable(platform)
  const breaches = await capacityBreaches(clients)
  breaches.push(...processBreaches(platform))
  await allPublished(clients)
  const { partitions } = await settled(clients)
  // Not a graceful end: its snapshots would take the place of those at and below these positions.
  await platform.kill()
  breaches.push(...(await stopNodes(platform)))
  breaches.push(...generationBreaches(await acceptedOf(platform.dataDir)))
  const folded: Record<string, { position: number; digest: string }> = {}
  for (const partition of partitions) {
    const ended = await partitionEnd(platform.dataDir, partition)
    const { position, digest } = ended
    folded[partition.service] = { position, digest }
    breaches.push(...ended.breaches)
  }
  return { folded, breaches }
}

type Status = Awaited<ReturnType<Clients['admin']['getStatus']>>

/** The status with digests, once no effect is open; unsettled ones are told by the caller. */
async function settled({ admin }: Clients): Promise<Status> {
  const none = async () => {
    const { partitions } = await admin.getStatus({ withDigest: false })
    return partitions.every((one) => one.unsettledEffects === 0) ? true : undefined
  }
  await until('effects to be settled', none, { timeoutMs: 30_000 }).catch(() => undefined)
  return admin.getStatus({ withDigest: true })
}

async function partitionEnd(
  dataDir: string,
  served: Status['partitions'][number],
): Promise<{ position: number; digest: string; breaches: string[] }> {
  const { service: name, digest, alarm, parkedInputs, unsettledEffects } = served
  const service = name as Service
  const last = Number(served.position)
  const breaches: string[] = []
  if (alarm !== '') breaches.push(`${service}: ${alarm}`)
  if (parkedInputs > 0) breaches.push(`${service}: ${parkedInputs} inputs are parked`)
  if (unsettledEffects > 0) {
    breaches.push(`${service}: ${unsettledEffects} effects were never settled`)
  }
  return withLog(dataDir, async (log) => {
    const full = await fold(log, { dataDir, service, last, from: 'start' })
    const tail = await fold(log, { dataDir, service, last, from: 'snapshot' })
    if (tail.snapshot === '') breaches.push(`${service}: there is no snapshot`)
    if (full.digest !== digest || tail.digest !== digest) {
      breaches.push(
        `${service} at ${last}: served ${digest}, full fold ${full.digest}, ` +
          `snapshot ${tail.snapshot} and tail ${tail.digest}`,
      )
    }
    const publicSeq = Number(served.publicSeq)
    breaches.push(...(await publicBreaches(log, { service, publicSeq })))
    return { position: last, digest: full.digest, breaches }
  })
}
