import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import {
  digitsManifest,
  type JournalLine,
  readJournal,
  resultOf,
  submit,
  untilJob,
  uploadDigits,
} from '../support/digits.ts'
import { type Clients, Platform } from '../support/platform.ts'
import { isAlive } from '../support/process-tree.ts'
import { acceptedOf, generationBreaches } from '../support/public-log.ts'
import { until } from '../support/until.ts'

/** Faults of a node: what happens to its processes. */
export type NodeFault = 'kill-node' | 'kill-agent' | 'stop-agent'

/** One case of the node-fault suite. */
export interface NodeFaultCase {
  readonly fault: NodeFault
  /** 4 tasks over two nodes, or 2 tasks wholly on the node that fails. */
  readonly tasks: 4 | 2
  readonly exclusive: boolean
}

/** All twelve cases. */
export const NODE_FAULT_CASES: readonly NodeFaultCase[] = (
  ['kill-node', 'kill-agent', 'stop-agent'] as const
).flatMap((fault) =>
  ([4, 2] as const).flatMap((tasks) =>
    [false, true].map((exclusive) => ({ fault, tasks, exclusive })),
  ),
)

export interface NodeFaultOptions {
  readonly leaseMs: number
  /** How long the agent stays stopped. */
  readonly stopMs: number
  /** Delay of each step of the workload; long enough that the job outlives the fault. */
  readonly stepDelayMs: number
}

/** What was seen. */
export interface NodeFaultResult {
  readonly case: string
  readonly generations: number
  /** From the fault until all tasks of the next generation ran; 0 = nothing had to recover. */
  readonly recoverMs: number
  readonly parametersDigest: string
  readonly breaches: readonly string[]
}

const EPOCHS = '12'

export const nameOf = (one: NodeFaultCase): string =>
  `${one.fault}, ${one.tasks} tasks, ${one.exclusive ? 'exclusive' : 'disconnect: keep'}`

/** Makes the queue the cases submit to. */
export async function prepareQueue(platform: Platform, name = 'team-a'): Promise<void> {
  const { queues } = platform.as('admin')
  await queues.createQueue({
    requestId: '',
    queue: { name, tenant: 'team-a', weight: 1, priority: 0, maximum: undefined },
  })
}

/** Submits a digits job. */
export async function trained(
  clients: Clients,
  init: { tasks: number; exclusive: boolean; journal?: string; stepDelayMs: number; name: string },
): Promise<string> {
  const workspace = await uploadDigits(clients)
  return submit(
    clients,
    digitsManifest({
      name: init.name,
      queue: 'team-a',
      workspace,
      tasks: init.tasks,
      exclusive: init.exclusive,
      args: [
        '--epochs',
        EPOCHS,
        '--checkpoint-every',
        '50',
        '--step-delay-ms',
        `${init.stepDelayMs}`,
      ],
      env: init.journal === undefined ? {} : { DIGITS_JOURNAL: init.journal },
    }),
  )
}

/** True when the job can change no more. */
export const isEnded = (job: Job): boolean =>
  job.state === Job_State.SUCCEEDED ||
  job.state === Job_State.FAILED ||
  job.state === Job_State.CANCELLED

const digests = new Map<number, Promise<string>>()

/** Parameters of a run that nothing disturbs; trained once for all cases that ask for them. */
export function undisturbedDigest(platform: Platform, tasks: 4 | 2): Promise<string> {
  const known = digests.get(tasks)
  if (known !== undefined) return known
  const digest = trainUndisturbed(platform, tasks)
  digests.set(tasks, digest)
  digest.catch(() => digests.delete(tasks))
  return digest
}

async function trainUndisturbed(platform: Platform, tasks: number): Promise<string> {
  const clients = platform.as('team-a')
  const jobId = await trained(clients, {
    tasks,
    exclusive: false,
    stepDelayMs: 0,
    name: `undisturbed-${tasks}`,
  })
  return resultOf(await untilJob(clients, jobId, 'ends', isEnded, 120_000)).parametersDigest
}

/** Sends a signal to those that still run. */
export function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name)
    } catch {}
  }
}

async function inject(
  platform: Platform,
  init: { one: NodeFaultCase; jobId: string; nodeId: string; stopMs: number },
): Promise<void> {
  const { supervisor, agent } = platform.node(init.nodeId)
  if (init.one.fault === 'kill-node') {
    const tasks = platform.tasks(init.jobId).filter((task) => task.nodeId === init.nodeId)
    signal([supervisor, agent, ...tasks.map((task) => task.pid)], 'SIGKILL')
    return
  }
  if (init.one.fault === 'kill-agent') {
    signal([agent], 'SIGKILL')
    await until(
      'the agent is there again',
      () => {
        const now = platform.node(init.nodeId)
        const back = now.agent !== agent && now.agent > 0 && isAlive(now.agent)
        return back && now.supervisor === supervisor ? true : undefined
      },
      { timeoutMs: 5_000 },
    )
    return
  }
  signal([agent], 'SIGSTOP')
  await new Promise((resolve) => setTimeout(resolve, init.stopMs))
  signal([agent], 'SIGCONT')
}

/**
 * Sentences about a journal that does not tell of as many generations as there were (it would prove
 * nothing), and about steps of an older generation after the first of a newer one: an exclusive job
 * has none, ever.
 */
export function journalBreaches(
  lines: readonly JournalLine[],
  { exclusive, wanted }: { readonly exclusive: boolean; readonly wanted: number },
): string[] {
  const generations = [...new Set(lines.map((line) => line.generation))].sort((a, b) => a - b)
  const breaches =
    generations.length === wanted
      ? []
      : [`the journal tells of generations ${generations.join() || 'none'}, not of ${wanted}`]
  if (!exclusive) return breaches
  for (const generation of generations.slice(1)) {
    const before = lines.filter((line) => line.generation < generation)
    const own = lines.filter((line) => line.generation === generation)
    const lastBefore = Math.max(...before.map((line) => line.atMs))
    const first = Math.min(...own.map((line) => line.atMs))
    if (lastBefore < first) continue
    breaches.push(
      `exclusive: step of an older generation ${lastBefore - first} ms after ${generation} began`,
    )
  }
  return breaches
}

/** Runs one case on a platform of its own and checks what must hold. Throws on a breach. */
export async function runNodeFault(
  one: NodeFaultCase,
  options: NodeFaultOptions,
): Promise<NodeFaultResult> {
  const directory = mkdtempSync(join(tmpdir(), 'sai-journal-'))
  chmodSync(directory, 0o777)
  const journal = join(directory, 'journal.jsonl')
  const platform = await Platform.start({ leaseMs: options.leaseMs })
  try {
    await prepareQueue(platform)
    const expected = await undisturbedDigest(platform, one.tasks)
    const clients = platform.as('team-a')
    const { stepDelayMs } = options
    const { tasks, exclusive } = one
    const jobId = await trained(clients, { tasks, exclusive, journal, stepDelayMs, name: 'faulty' })
    const job = await untilJob(
      clients,
      jobId,
      'has a checkpoint',
      (now) => (now.checkpoint?.step ?? 0n) > 0n,
      60_000,
    )
    const nodeId = job.nodes.at(-1) ?? ''
    const before = platform.tasks(jobId).map((task) => task.pid)
    const startedMs = Date.now()
    await inject(platform, { one, jobId, nodeId, stopMs: options.stopMs })
    const ended = await untilJob(clients, jobId, 'ends', isEnded, 240_000)
    const wanted = one.fault === 'kill-agent' ? 1 : 2
    const breaches = journalBreaches(readJournal(journal), { exclusive, wanted })
    if (ended.state !== Job_State.SUCCEEDED)
      breaches.push(`ended as ${ended.state}: ${ended.message}`)
    const digest = ended.resultJson === '' ? '' : resultOf(ended).parametersDigest
    if (digest !== expected) breaches.push(`parameters ${digest}, undisturbed ${expected}`)
    if (ended.generation !== wanted) breaches.push(`generation ${ended.generation}, not ${wanted}`)
    const { incidents } = await clients.recovery.listIncidents({
      jobId,
      pageSize: 10,
      pageToken: '',
    })
    const recoveredMs = Number(incidents[0]?.recoveredMs ?? 0n)
    const recoverMs = recoveredMs === 0 ? 0 : recoveredMs - startedMs
    if (wanted === 2 && incidents[0]?.blame !== 1) breaches.push('not blamed on the infrastructure')
    if (before.length !== one.tasks)
      breaches.push(`${before.length} task processes, not ${one.tasks}`)
    await platform.interrupt()
    breaches.push(...generationBreaches(await acceptedOf(platform.dataDir)))
    const result = { case: nameOf(one), generations: ended.generation, recoverMs, breaches }
    if (breaches.length > 0) throw new Error(`${result.case}: ${breaches.join('; ')}`)
    return { ...result, parametersDigest: digest }
  } finally {
    await platform.close()
    rmSync(directory, { recursive: true, force: true })
  }
}
