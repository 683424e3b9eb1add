import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Job_State } from '@serverless-ai/contracts/job/v1/job'
import { Incident_Blame } from '@serverless-ai/contracts/recovery/v1/recovery'
import { readJournal, resultOf, untilJob } from '../support/digits.ts'
import { type Clients, Platform } from '../support/platform.ts'
import { isAlive } from '../support/process-tree.ts'
import { acceptedOf, generationBreaches } from '../support/public-log.ts'
import {
  isEnded,
  journalBreaches,
  prepareQueue,
  trained,
  undisturbedDigest,
} from './node-faults.ts'

/** Steps of a whole run of the workload as `trained` submits it. */
const STEPS = 540
/** How far the end of an exclusive task may be from where the lease says. */
const TOLERANCE_MS = 1_000
const KEEP_TASKS = 4
const EXCLUSIVE_TASKS = 2

export interface AwayOptions {
  readonly leaseMs: number
  /** How long there is no control plane; longer than a lease. */
  readonly awayMs: number
  /** How much longer than usual the control plane takes to start again, ms. Default 0. */
  readonly startMs?: number
}

/** What was seen. */
export interface AwayResult {
  /** Time from the control plane's death to the death of the last exclusive task, ms. */
  readonly exclusiveEndedAfterMs: number
  readonly exclusiveGeneration: number
  readonly keepGeneration: number
  readonly breaches: readonly string[]
}

const pidsOf = (platform: Platform, jobId: string): readonly number[] =>
  platform
    .tasks(jobId)
    .map((task) => task.pid)
    .sort((a, b) => a - b)

/**
 * Watches the tasks while nobody is there: when the last exclusive one ended, and whether a `keep`
 * one did.
 */
async function watchAlone(init: {
  keep: readonly number[]
  exclusive: readonly number[]
  untilMs: number
}): Promise<{ exclusiveEndedMs: number; keepLost: number }> {
  let exclusiveEndedMs = Number.POSITIVE_INFINITY
  let keepLost = 0
  while (performance.now() < init.untilMs) {
    if (exclusiveEndedMs === Number.POSITIVE_INFINITY && !init.exclusive.some(isAlive)) {
      exclusiveEndedMs = performance.now()
    }
    keepLost = init.keep.filter((pid) => !isAlive(pid)).length
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return { exclusiveEndedMs, keepLost }
}

async function plannedOnly(clients: Clients, jobId: string): Promise<string[]> {
  const request = { jobId, pageSize: 10, pageToken: '' }
  const { incidents } = await clients.recovery.listIncidents(request)
  const breaches = incidents.flatMap(({ blame, charged, cause }) =>
    blame === Incident_Blame.PLANNED && !charged
      ? []
      : [`incident ${cause}: blame ${blame}, ${charged ? 'charged' : 'not charged'}`],
  )
  return incidents.length === 1 ? breaches : [...breaches, `${incidents.length} incidents, not 1`]
}

/**
 * The control plane dies while a `disconnect: keep` gang and an exclusive job run, and comes back
 * later. The first goes on untouched, the second is ended by its supervisors at the lease deadline
 * and goes on as the next generation. Throws on a breach.
 */
export async function runControlPlaneAway(options: AwayOptions): Promise<AwayResult> {
  const { leaseMs, awayMs } = options
  const directory = mkdtempSync(join(tmpdir(), 'sai-away-'))
  chmodSync(directory, 0o777)
  const journal = join(directory, 'journal.jsonl')
  const platform = await Platform.start({ leaseMs })
  try {
    await prepareQueue(platform)
    const [keepDigest, exclusiveDigest] = await Promise.all([
      undisturbedDigest(platform, KEEP_TASKS),
      undisturbedDigest(platform, EXCLUSIVE_TASKS),
    ])
    const clients = platform.as('team-a')
    const checkpointed = (jobId: string) =>
      untilJob(clients, jobId, 'checkpoint', (now) => (now.checkpoint?.step ?? 0n) > 0n, 90_000)
    // One outlives the outage, the other the lease that is left; it starts when the first is well
    // under way, or a slow start of that one would use up its steps.
    const delayFor = (ms: number) => Math.ceil((1.2 * ms + 9_000) / STEPS)
    const keepId = await trained(clients, {
      name: 'keeps',
      tasks: KEEP_TASKS,
      exclusive: false,
      stepDelayMs: delayFor(awayMs + (options.startMs ?? 0)),
    })
    await checkpointed(keepId)
    const exclusiveId = await trained(clients, {
      name: 'exclusive',
      tasks: EXCLUSIVE_TASKS,
      exclusive: true,
      stepDelayMs: delayFor(leaseMs),
      journal,
    })
    await checkpointed(exclusiveId)
    const breaches: string[] = []
    const keep = pidsOf(platform, keepId)
    const exclusive = pidsOf(platform, exclusiveId)
    if (keep.length !== KEEP_TASKS) breaches.push(`${keep.length} keep tasks, not ${KEEP_TASKS}`)
    if (exclusive.length !== EXCLUSIVE_TASKS) {
      breaches.push(`${exclusive.length} exclusive tasks, not ${EXCLUSIVE_TASKS}`)
    }
    const diedMs = performance.now()
    await platform.kill()
    const alone = await watchAlone({ keep, exclusive, untilMs: diedMs + awayMs })
    if (alone.keepLost > 0) breaches.push(`${alone.keepLost} keep tasks ended during the outage`)
    const exclusiveEndedAfterMs = Math.round(alone.exclusiveEndedMs - diedMs)
    // Renewed every third of a lease: at its death between two thirds and a whole one was left.
    const earliest = (2 / 3) * leaseMs - TOLERANCE_MS
    const latest = leaseMs + TOLERANCE_MS
    if (exclusiveEndedAfterMs < earliest || exclusiveEndedAfterMs > latest) {
      breaches.push(
        `exclusive tasks ended ${exclusiveEndedAfterMs} ms after the control plane, ` +
          `not ${earliest} to ${latest}`,
      )
    }
    platform.spawn()
    await platform.ready(90_000)
    const adopted = pidsOf(platform, keepId)
    if (adopted.join() !== keep.join()) breaches.push(`keep tasks were ${keep}, are ${adopted}`)
    const ended = await untilJob(clients, keepId, 'ends', isEnded, 180_000 + awayMs)
    const next = await untilJob(clients, exclusiveId, 'ends', isEnded, 180_000 + awayMs)
    breaches.push(
      ...endBreaches(ended, { generation: 1, digest: keepDigest }),
      ...endBreaches(next, { generation: 2, digest: exclusiveDigest }),
      ...(await plannedOnly(clients, exclusiveId)),
      ...journalBreaches(readJournal(journal), { exclusive: true, wanted: 2 }),
    )
    await platform.interrupt()
    breaches.push(...generationBreaches(await acceptedOf(platform.dataDir)))
    if (breaches.length > 0) throw new Error(`control plane away: ${breaches.join('; ')}`)
    return {
      exclusiveEndedAfterMs,
      exclusiveGeneration: next.generation,
      keepGeneration: ended.generation,
      breaches,
    }
  } finally {
    await platform.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

function endBreaches(
  job: Parameters<typeof isEnded>[0],
  wanted: { generation: number; digest: string },
): string[] {
  if (job.state !== Job_State.SUCCEEDED) {
    return [`${job.name} ended in state ${job.state}: ${job.message}`]
  }
  const digest = resultOf(job).parametersDigest
  const breaches: string[] = []
  if (digest !== wanted.digest) breaches.push(`${job.name}: parameters differ from undisturbed`)
  if (job.generation !== wanted.generation) {
    breaches.push(`${job.name}: generation ${job.generation}, not ${wanted.generation}`)
  }
  return breaches
}
