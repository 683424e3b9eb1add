import { Node_State } from '@serverless-ai/contracts/pool/v1/pool'
import { stopLocalNode } from '@serverless-ai/node-agent'
import { withLog } from '../support/closed-log.ts'
import { patient } from '../support/environment.ts'
import { SERVICES } from '../support/fold.ts'
import type { Clients, Platform } from '../support/platform.ts'
import { processes } from '../support/process-tree.ts'
import { acceptedOf, generationBreaches } from '../support/public-log.ts'
import { until } from '../support/until.ts'
import { allPublished, reachable } from './gap.ts'
import { foldBreaches, publicBreaches, type Served } from './history.ts'

/** What the end of a platform came to. */
export interface Ending {
  /** Where each service's history ended and what it folds to. */
  readonly folded: readonly Served[]
  readonly breaches: readonly string[]
}

/**
 * Checks a platform on which all jobs have ended, ends it, and checks its logs: everything is free,
 * nothing is left, nothing of an older generation was accepted after a newer one had started, and
 * what the leaders served is what their logs fold to, from the start as from the newest snapshot.
 */
export async function endOf(platform: Platform): Promise<Ending> {
  const clients = await reachable(platform)
  const { dataDir } = platform
  const breaches = [...(await capacityBreaches(clients)), ...processBreaches(platform)]
  await allPublished(platform)
  const served = await lastStatus(platform)
  // Not a graceful end: its snapshots would take the place of those at and below these positions.
  await platform.kill()
  breaches.push(...served.breaches, ...(await stopBreaches(platform)))
  breaches.push(...generationBreaches(await acceptedOf(dataDir)))
  await withLog(dataDir, async (log) => {
    for (const one of served.services) {
      breaches.push(...(await foldBreaches(log, dataDir, one)), ...(await publicBreaches(log, one)))
    }
  })
  return { folded: served.services, breaches }
}

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
    const ids = (some: typeof nodes) => some.map(({ nodeId }) => nodeId).join(', ')
    const names = busy.map(({ queue }) => queue?.name).join(', ')
    last = `not ready: ${ids(away)}; devices held: ${ids(held)}; queues with jobs: ${names}`
    return away.length + held.length + busy.length === 0 ? true : undefined
  }
  const what = 'all nodes to be ready and all devices to be free'
  return until(what, free, { timeoutMs: patient(60_000) }).then(
    () => [],
    (error: unknown) => [`${String(error)}; ${last}`],
  )
}

/** Sentences about processes other than the control plane and one supervisor and agent per node. */
function processBreaches(platform: Platform): string[] {
  const wanted = new Set([process.pid, ...platform.controlPlane])
  for (const nodeId of platform.nodeIds()) {
    const { supervisor, agent } = platform.node(nodeId)
    wanted.add(supervisor).add(agent)
  }
  return processes()
    .filter(({ pid }) => !wanted.has(pid))
    .filter(({ command, environment }) => `${command}\0${environment}`.includes(platform.dataDir))
    .map(({ pid, command }) => `process ${pid} is left: ${command}`)
}

/** What the leaders say at the end, and sentences about what they should not have to say. */
async function lastStatus(
  platform: Platform,
): Promise<{ services: readonly Served[]; breaches: readonly string[] }> {
  const settled = async () => {
    const partitions = await platform.leaders({ withDigest: false })
    return partitions.every((one) => one.unsettledEffects === 0) ? true : undefined
  }
  // Those that are never settled are told below, with the service's name.
  await until('effects to be settled', settled, { timeoutMs: patient(30_000) }).catch(
    () => undefined,
  )
  const partitions = await platform.leaders({ withDigest: true })
  const breaches = partitions.flatMap(({ service, alarm, parkedInputs, unsettledEffects }) => [
    ...(alarm === '' ? [] : [`${service}: ${alarm}`]),
    ...(parkedInputs === 0 ? [] : [`${service}: ${parkedInputs} inputs are parked`]),
    ...(unsettledEffects === 0
      ? []
      : [`${service}: ${unsettledEffects} effects were never settled`]),
  ])
  const services = SERVICES.flatMap((service) => {
    const found = partitions.find((one) => one.service === service)
    if (found === undefined) {
      breaches.push(`${service} has no status`)
      return []
    }
    const { position, publicSeq, digest } = found
    return [{ service, position: Number(position), publicSeq: Number(publicSeq), digest }]
  })
  return { services, breaches }
}

/** Ends the nodes in order; sentences about what is left of them. */
async function stopBreaches(platform: Platform): Promise<string[]> {
  const { dataDir } = platform
  const breaches: string[] = []
  for (const nodeId of platform.nodeIds()) {
    const how = await stopLocalNode({ dataDir, nodeId })
    if (how !== 'stopped') breaches.push(`${nodeId} was ${how}, not stopped in order`)
  }
  const left = platform.leftovers()
  if (left.length > 0) breaches.push(`processes are left: ${left.join(', ')}`)
  return breaches
}
