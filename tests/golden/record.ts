/**
 * Records the logs of the quickstart under the version that stands in `package.json`: a real
 * platform with real nodes and tasks, one node lost on the way, one restart of the control plane.
 * Run by hand at each release, see README.md.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir, hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { Job_State } from '@serverless-ai/contracts/job/v1/job'
import {
  decodeRecord,
  type LogRecord,
  logTopic,
  openSnapshotDirectory,
} from '@serverless-ai/eventlog'
import { readAll, withLog } from '../support/closed-log.ts'
import { getJob, submit, untilJob } from '../support/digits.ts'
import { foldService, SERVICES, type Service } from '../support/fold.ts'
import { Platform } from '../support/platform.ts'
import { quietPorts as ports } from '../support/quiet-ports.ts'
import { ROOT } from '../support/root.ts'
import { until } from '../support/until.ts'
import {
  type GoldenManifest,
  type GoldenService,
  type GoldenState,
  logFile,
  packRecords,
  snapshotFile,
} from './golden-log.ts'

const QUICKSTART_JOBS = 4
const ENDED: ReadonlySet<Job_State> = new Set([
  Job_State.SUCCEEDED,
  Job_State.FAILED,
  Job_State.CANCELLED,
])

/** A job of one task, as `sai job submit` takes it. */
const small = (name: string, command: readonly string[]): string =>
  JSON.stringify({
    apiVersion: 'serverlessai.job/v1',
    kind: 'Job',
    metadata: { name },
    spec: { queue: 'team-b', tasks: 1, command, resources: { devices: 1 } },
  })

type States = Map<Service, GoldenState[]>

/** Digests of all services as the running platform serves them. */
async function note(platform: Platform, states: States): Promise<void> {
  const { partitions } = await platform.as('admin').admin.getStatus({ withDigest: true })
  for (const { service, position, digest } of partitions) {
    const name = SERVICES.find((each) => each === service)
    if (name === undefined) throw new Error(`${service} is a new service: add it to SERVICES`)
    states.set(name, [...(states.get(name) ?? []), { position: Number(position), digest }])
  }
}

/**
 * The quickstart: jobs compete, a node's supervisor is killed while digits runs, all end well; the
 * model is served, and its replicas follow a flood of requests, to zero again.
 */
async function quickstart(platform: Platform, states: States): Promise<void> {
  const admin = platform.as('admin')
  const list = async () =>
    (
      await admin.jobs.listJobs({
        pageSize: 100,
        pageToken: '',
        queue: '',
        states: [],
        minPosition: '',
      })
    ).jobs
  const digits = await until(
    'digits to have a checkpoint',
    async () => (await list()).find(({ name, checkpoint }) => name === 'digits' && checkpoint),
    { timeoutMs: 60_000 },
  )
  await note(platform, states)
  process.kill(platform.node(digits.nodes[0] ?? '').supervisor, 'SIGKILL')
  await untilJob(admin, digits.jobId, 'goes on', ({ generation }) => generation === 2, 60_000)
  await note(platform, states)
  await until(
    'all jobs to end',
    async () => {
      const jobs = await list()
      const ended = jobs.filter(({ state }) => state === Job_State.SUCCEEDED)
      return ended.length === QUICKSTART_JOBS ? true : undefined
    },
    { timeoutMs: 120_000 },
  )
  await note(platform, states)
  let most = 0
  await until(
    'the replicas to follow the flood, to zero again',
    async () => {
      const service = (await list()).find(({ scale }) => scale !== undefined)
      most = Math.max(most, service?.scale?.ready ?? 0)
      return most > 1 && service?.scale?.ready === 0 ? true : undefined
    },
    { timeoutMs: 240_000 },
  )
  await note(platform, states)
}

/** After a restart: a job that fails, and one that is cancelled. */
async function secondDay(platform: Platform, states: States): Promise<void> {
  const team = platform.as('team-b')
  const failing = await submit(team, small('fails', ['sh', '-c', 'exit 3']))
  const endless = await submit(team, small('endless', ['sleep', '600']))
  await untilJob(team, endless, 'runs', ({ state }) => state === Job_State.RUNNING, 60_000)
  await note(platform, states)
  await team.jobs.cancelJob({ jobId: endless, requestId: '' })
  for (const jobId of [failing, endless]) {
    await untilJob(team, jobId, 'ends', ({ state }) => ENDED.has(state), 60_000)
  }
  if ((await getJob(team, failing)).state !== Job_State.FAILED) throw new Error('it did not fail')
  await note(platform, states)
}

/** Words of this machine; a log that holds one of them says something else elsewhere. */
function refuseMachineWords(service: Service, bytes: Uint8Array, dataDir: string): void {
  const text = Buffer.from(bytes).toString('latin1')
  const words = [dataDir, ROOT, homedir(), tmpdir(), hostname()].filter(({ length }) => length > 3)
  const found = words.find((word) => text.includes(word))
  if (found !== undefined) throw new Error(`the log of ${service} holds '${found}'`)
}

async function describe(init: {
  service: Service
  dataDir: string
  records: readonly LogRecord[]
  states: readonly GoldenState[]
  /** Newest snapshot before the restart. */
  middle: string
  target: string
}): Promise<GoldenService> {
  const { service, dataDir, records, states, middle, target } = init
  const store = openSnapshotDirectory({ directory: join(dataDir, 'snapshots'), ports })
  const address = { topic: logTopic(service), partition: 0 }
  const snapshot = (await store.list(address)).find(({ name }) => name === middle)
  const content = snapshot && (await store.get(address, middle))
  if (snapshot === undefined || content === undefined) {
    throw new Error(`${service}: the snapshot '${middle}' is not there`)
  }
  const bodies = records.map(({ value }) => decodeRecord(value).body)
  const events = bodies.reduce(
    (sum, body) => sum + (body?.$case === 'commit' ? body.value.events.length : 0),
    0,
  )
  for (const bytes of [content, ...records.map(({ value }) => value)]) {
    refuseMachineWords(service, bytes, dataDir)
  }
  writeFileSync(join(target, logFile(service)), packRecords(records))
  writeFileSync(join(target, snapshotFile(service)), gzipSync(content, { level: 9 }))
  const { publicSeq } = await withLog(dataDir, (eventLog) => foldService(service, { eventLog }))
  const { schemaVersion } = snapshot
  return { schemaVersion, records: records.length, events, publicSeq, states, snapshot }
}

async function main(): Promise<void> {
  const { version: product } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const target = join(ROOT, 'tests/golden', product)
  if (existsSync(target)) {
    throw new Error(`${target} is there: a recording is never changed. Not released yet? Remove it`)
  }
  const states: States = new Map()
  const platform = await Platform.start({ quickstart: true, leaseMs: 5_000 })
  const { dataDir } = platform
  try {
    await quickstart(platform, states)
    await platform.interrupt()
    const middle = await newestSnapshots(dataDir)
    platform.spawn()
    await platform.ready()
    await secondDay(platform, states)
    await platform.interrupt()
    mkdirSync(target, { recursive: true })
    const services: Partial<Record<Service, GoldenService>> = {}
    for (const service of SERVICES) {
      const records = await withLog(dataDir, (log) => readAll(log, logTopic(service)))
      services[service] = await describe({
        service,
        dataDir,
        records,
        states: states.get(service) ?? [],
        middle: middle.get(service) ?? '',
        target,
      })
    }
    const manifest = { product, services } as GoldenManifest
    writeFileSync(join(target, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
    console.log(`recorded ${target}`)
  } finally {
    await platform.close()
  }
}

async function newestSnapshots(dataDir: string): Promise<ReadonlyMap<Service, string>> {
  const store = openSnapshotDirectory({ directory: join(dataDir, 'snapshots'), ports })
  const found = new Map<Service, string>()
  for (const service of SERVICES) {
    const [newest] = await store.list({ topic: logTopic(service), partition: 0 })
    if (newest !== undefined) found.set(service, newest.name)
  }
  return found
}

await main()
