import { join } from 'node:path'
import { connect, type PlatformClient } from '@serverless-ai/client'
import { type Ports, RpcError, uuidV7 } from '@serverless-ai/kernel'
import { QUICKSTART_TENANTS } from '../config.ts'
import type { QuickstartInit } from './init.ts'
import { serveAndFlood } from './serving.ts'
import { followTraining, submitJobs } from './training.ts'

export type { QuickstartInit } from './init.ts'

/**
 * Makes the tenants' queues, those that are missing: a start may have been interrupted. False when
 * there is a history already (a later start).
 */
async function makeQueues(admin: PlatformClient, { clock, randomness }: Ports): Promise<boolean> {
  const { jobs } = await admin.jobs.page({ pageSize: 1 })
  const { queues } = await admin.queues.listQueues({
    pageSize: 100,
    pageToken: '',
    minPosition: '',
  })
  const tenants = new Set<string>(QUICKSTART_TENANTS)
  const names = new Set(queues.map(({ queue }) => queue?.name ?? ''))
  const others = [...names].some((name) => !tenants.has(name))
  if (jobs.length > 0 || others) return false
  for (const [index, tenant] of QUICKSTART_TENANTS.entries()) {
    if (names.has(tenant)) continue
    const weight = QUICKSTART_TENANTS.length - index
    const queue = { name: tenant, tenant, weight, priority: 0, maximum: undefined }
    await admin.queues.createQueue({
      requestId: uuidV7(clock.wallMs(), randomness.bytes(10)),
      queue,
    })
  }
  return true
}

async function trainAndServe(init: QuickstartInit, jobId: string): Promise<void> {
  const { without } = init.config
  const trained = await followTraining(init, jobId)
  // The flood shows how the fleet follows those who call.
  const shows = !without.includes('gateway') && !without.includes('autoscaler')
  if (trained && shows) await serveAndFlood(init, jobId)
}

/**
 * On an empty data directory: two tenants with queues, the digits job, and small jobs that compete
 * with it; then the trained model is served and flooded for a minute. Needs six devices and more
 * than one local node to show all of it; with fewer than four devices it submits nothing and says
 * so.
 */
export async function runQuickstart(init: QuickstartInit): Promise<void> {
  const { address, ports, dataDir, credentials, config, output } = init
  await using admin = connect({ address, token: credentials.admin })
  if (!(await makeQueues(admin, ports))) {
    output.say('going on with the jobs of this data directory: sai job list')
    return
  }
  const devices = config.nodes * config.devicesPerNode
  if (devices < 4) {
    output.say(
      `tenants team-a and team-b are ready; the example needs 4 devices, there are ${devices}`,
    )
    return
  }
  const jobId = await submitJobs(init)
  output.say('quickstart: team-a trains digits as a gang of 4; team-b has three small jobs in line')
  output.say('  try, in a second terminal:')
  output.say('    export PATH="$PWD/bin:$PATH"')
  output.say('    sai job list · sai job why digits · sai job logs digits --follow · sai node list')
  output.say('  then take a node from it, and see it recover (sai job why digits):')
  const record = join(dataDir, 'nodes/n1/supervisor.json')
  output.say(`    kill -9 $(sed 's/.*"pid":\\([0-9]*\\).*/\\1/' '${record}')`)
  trainAndServe(init, jobId).catch((error: unknown) => {
    if (error instanceof RpcError && error.code === 'UNAVAILABLE') return
    ports.logger.log('warn', 'the quickstart stopped following', { error })
  })
}
