import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect, type PlatformClient } from '@serverless-ai/client'
import { type Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import type { Credentials } from '@serverless-ai/hosting'
import { type Ports, RpcError, uuidV7 } from '@serverless-ai/kernel'
import { create } from 'tar'
import { stringify } from 'yaml'
import { type AllInOneConfig, QUICKSTART_TENANTS } from './config.ts'
import type { PlatformOutput } from './output.ts'

/** Directory of the digits example in this checkout. */
const DIGITS = join(dirname(fileURLToPath(import.meta.url)), '../../../examples/workloads/digits')

/**
 * A step lasts a moment longer than it must, so that there is something to watch; about 25 s in
 * all.
 */
const DIGITS_STEP_DELAY_MS = 12

/** What it runs on. */
export interface QuickstartInit {
  /** gRPC `host:port` of the platform, or several of them with commas between. */
  readonly address: string
  readonly ports: Ports
  readonly dataDir: string
  readonly credentials: Credentials
  readonly config: AllInOneConfig
  readonly output: PlatformOutput
}

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

async function packDigits(): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  const entries = ['dist', 'data', 'package.json'].filter((name) => existsSync(join(DIGITS, name)))
  const skipped = /\.(spec\.js|map|d\.ts|tsbuildinfo)$/
  const filter = (path: string) => !skipped.test(path)
  const pack = create({ gzip: true, portable: true, cwd: DIGITS, filter }, entries)
  for await (const chunk of pack) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const digitsJob = (workspace: string) => ({
  apiVersion: 'serverlessai.job/v1',
  kind: 'Job',
  metadata: { name: 'digits' },
  spec: {
    queue: 'team-a',
    tasks: 4,
    command: ['node', 'dist/main.js', '--step-delay-ms', `${DIGITS_STEP_DELAY_MS}`],
    workspace,
    resources: { devices: 1, cpu: '250m', memory: '256Mi' },
    retry: { maxRestarts: 5 },
  },
})

/** Small jobs that want the same devices: some must wait, one at least says why. */
const smallJobs = [
  { name: 'count-words', tasks: 1, seconds: 6 },
  { name: 'evaluate', tasks: 2, seconds: 8 },
  { name: 'embed', tasks: 3, seconds: 5 },
].map(({ name, tasks, seconds }) => ({
  apiVersion: 'serverlessai.job/v1',
  kind: 'Job',
  metadata: { name },
  spec: {
    queue: 'team-b',
    tasks,
    command: ['sh', '-c', `echo "rank $RANK of $WORLD_SIZE on $SAI_NODE_ID"; sleep ${seconds}`],
    resources: { devices: 1, cpu: '100m', memory: '64Mi' },
  },
}))

async function submitAll(init: QuickstartInit): Promise<string> {
  const { credentials, address } = init
  const as = (tenant: string) => connect({ address, token: credentials.tenants[tenant] ?? '' })
  await using teamA = as('team-a')
  await using teamB = as('team-b')
  const workspace = await teamA.uploadWorkspace(await packDigits())
  const manifest = stringify(digitsJob(workspace))
  const { job } = await teamA.jobs.submit({ manifest, fileName: 'digits.yaml' })
  for (const small of smallJobs) {
    await teamB.jobs.submit({ manifest: stringify(small), fileName: `${small.metadata.name}.yaml` })
  }
  return job.jobId
}

function tell(
  job: Job,
  seen: { state?: Job_State; generation?: number },
  say: (line: string) => void,
) {
  if (seen.state === job.state && seen.generation === job.generation) return
  seen.state = job.state
  seen.generation = job.generation
  const what = Object.entries(Job_State).find(([, value]) => value === job.state)?.[0] ?? '?'
  const where = job.nodes.length > 0 ? ` on ${[...new Set(job.nodes)].join(', ')}` : ''
  const why = job.message === '' ? '' : `: ${job.message}`
  say(`  digits  ${what.toLowerCase()}, generation ${job.generation}${where}${why}`)
}

/** Follows the digits job and says what happens; ends quietly when the platform stops. */
async function follow(init: QuickstartInit, jobId: string): Promise<void> {
  const { address, credentials, output } = init
  const token = credentials.tenants['team-a'] ?? ''
  await using client = connect({ address, token })
  const seen = {}
  for await (const job of client.jobs.watch(jobId)) {
    tell(job, seen, output.say)
    if (job.state !== Job_State.SUCCEEDED) continue
    const { metrics }: { metrics?: { accuracy?: number } } = JSON.parse(job.resultJson || '{}')
    const accuracy = metrics?.accuracy?.toFixed(3) ?? 'unknown'
    const seconds = (Number(job.finishedMs - job.submittedMs) / 1_000).toFixed(0)
    output.say(`  digits  done in ${seconds} s, accuracy ${accuracy} on the last 360 rows`)
  }
}

/**
 * On an empty data directory: two tenants with queues, the digits job, and small jobs that compete
 * with it. Needs six devices and more than one local node to show all of it; with fewer it submits
 * nothing and says so.
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
  const jobId = await submitAll(init)
  output.say('quickstart: team-a trains digits as a gang of 4; team-b has three small jobs in line')
  output.say('  try, in a second terminal:')
  output.say('    export PATH="$PWD/bin:$PATH"')
  output.say('    sai job list · sai job why digits · sai job logs digits --follow · sai node list')
  output.say('  then take a node from it, and see it recover (sai job why digits):')
  const record = join(dataDir, 'nodes/n1/supervisor.json')
  output.say(`    kill -9 $(sed 's/.*"pid":\\([0-9]*\\).*/\\1/' '${record}')`)
  follow(init, jobId).catch((error: unknown) => {
    if (error instanceof RpcError && error.code === 'UNAVAILABLE') return
    ports.logger.log('warn', 'the quickstart stopped following', { error })
  })
}
