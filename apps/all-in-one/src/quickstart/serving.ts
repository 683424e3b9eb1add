import { connect, isFinished, type PlatformClient } from '@serverless-ai/client'
import { stringify } from 'yaml'
import { edgeUrl } from '../output.ts'
import { packExample } from './examples.ts'
import { flood, type Phase, type Stretch } from './flood.ts'
import type { QuickstartInit } from './init.ts'

const NAME = 'digits-server'
/** An answer takes as long as one of a larger model would: a replica has room for 40 a second. */
const LATENCY_MS = 100
const CONCURRENCY = 4
const REPLICAS_MAX = 4
/** A minute: a trickle, a flood that one replica cannot bear, a trickle again. */
const PHASES: readonly Phase[] = [
  { seconds: 10, perSecond: 8 },
  { seconds: 30, perSecond: 80 },
  { seconds: 20, perSecond: 8 },
]
const TELL_EVERY_SECONDS = 5

const serverJob = (workspace: string, model: string) => ({
  apiVersion: 'serverlessai.job/v1',
  kind: 'Job',
  metadata: { name: NAME },
  spec: {
    type: 'Inference',
    queue: 'team-a',
    command: ['node', 'dist/main.js', '--latency-ms', `${LATENCY_MS}`],
    workspace,
    model: { job: model },
    replicas: { min: 0, max: REPLICAS_MAX },
    serve: {
      concurrency: CONCURRENCY,
      drain: '2s',
      readiness: { httpGet: '/healthz', period: '250ms' },
      scaling: { idle: '10s' },
    },
    resources: { devices: 1, cpu: '100m', memory: '128Mi' },
  },
})

/** A picture that is asked for: 8 by 8 pixels, all of them half grey. */
const BODY = JSON.stringify({ pixels: Array.from({ length: 64 }, () => 8) })

/** One request as a caller of the tenant makes it; true when it was answered rightly. */
const requestTo = (url: string, token: string) => async (): Promise<boolean> => {
  try {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const answer = await fetch(url, { method: 'POST', headers, body: BODY })
    const { digit }: { digit?: number } = JSON.parse(await answer.text())
    return answer.status === 200 && typeof digit === 'number'
  } catch {
    return false
  }
}

const ms = (value: number | undefined): string =>
  value === undefined ? '-' : `${Math.round(value)} ms`

/** Tells a stretch, or that the job has ended; false = nobody is left to be asked. */
async function tellStretch(
  client: PlatformClient,
  about: { jobId: string; stretch: Stretch; say: (line: string) => void },
): Promise<boolean> {
  const { jobId, stretch, say } = about
  const job = await client.jobs.get(jobId)
  if (isFinished(job)) {
    say(`  ${NAME}  has ended, and so does the flood: ${job.message}`)
    say(`    sai job why ${NAME} · sai job logs ${NAME}`)
    return false
  }
  const { ready = 0, wanted = 0 } = job.scale ?? {}
  const failed = stretch.failed === 0 ? '' : `, ${stretch.failed} failed`
  const times = `p50 ${ms(stretch.p50Ms)}, p99 ${ms(stretch.p99Ms)}`
  say(
    `  ${NAME}  ${`${stretch.atSeconds} s`.padStart(4)}: ${stretch.perSecond} requests/s, ` +
      `${ready} of ${wanted} replicas ready, ${stretch.answered} answered (${times})${failed}`,
  )
  return true
}

/** Serves the model of a job and floods it for a minute; says how the fleet follows. */
export async function serveAndFlood(init: QuickstartInit, model: string): Promise<void> {
  const { address, credentials, config, output, ports } = init
  const token = credentials.tenants['team-a'] ?? ''
  await using client = connect({ address, token })
  const workspace = await client.uploadWorkspace(await packExample(NAME))
  const manifest = stringify(serverJob(workspace, model))
  const { job } = await client.jobs.submit({ manifest, fileName: `${NAME}.yaml` })
  const url = `${edgeUrl(config)}/services/team-a/${NAME}/predict`
  output.say(`now its model is served at ${url}`)
  output.say(`  and asked for a minute: ${PHASES.map(phaseText).join(', ')}`)
  output.say(`    sai scale list · sai scale why ${NAME} · sai profile ${NAME}`)
  await flood({
    ...{ phases: PHASES, tellEverySeconds: TELL_EVERY_SECONDS, ports },
    request: requestTo(url, token),
    tell: (stretch) => tellStretch(client, { jobId: job.jobId, stretch, say: output.say }),
  })
  if (!(await toZero(client, job.jobId))) return
  output.say(
    `  ${NAME}  had no request for a while: no replica is left, the next request starts one`,
  )
}

/** Waits until no replica is left; false when the job has ended. */
async function toZero(client: PlatformClient, jobId: string): Promise<boolean> {
  for await (const job of client.jobs.watch(jobId)) {
    const { scale } = job
    if (isFinished(job)) return false
    if (scale?.wanted === 0 && scale.granted === 0) return true
  }
  return false
}

const phaseText = ({ seconds, perSecond }: Phase): string => `${seconds} s at ${perSecond}/s`
