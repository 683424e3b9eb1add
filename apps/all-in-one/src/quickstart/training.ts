import { connect } from '@serverless-ai/client'
import { type Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import { stringify } from 'yaml'
import { packExample } from './examples.ts'
import type { QuickstartInit } from './init.ts'

/**
 * A step lasts a moment longer than it must, so that there is something to watch; about 25 s in
 * all.
 */
const DIGITS_STEP_DELAY_MS = 12

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

/** Submits the digits job and the small ones; answers the id of the first. */
export async function submitJobs(init: QuickstartInit): Promise<string> {
  const { credentials, address } = init
  const as = (tenant: string) => connect({ address, token: credentials.tenants[tenant] ?? '' })
  await using teamA = as('team-a')
  await using teamB = as('team-b')
  const workspace = await teamA.uploadWorkspace(await packExample('digits'))
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

/** Follows the digits job and says what happens; true when it has succeeded. */
export async function followTraining(init: QuickstartInit, jobId: string): Promise<boolean> {
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
    return true
  }
  return false
}
