/** Requests that are refused, and requests on the border between a refusal and an acceptance. */
import type { SeededRandomness } from '@serverless-ai/kernel/testing'
import type { Scenario } from '../../scenarios/types.ts'
import { commandOf } from '../nodes/script.ts'
import { FIRST_MS, type JobPlan, LAST_SHARE, type QueuePlan } from './plans.ts'

/** Such requests for each job of the scenario. */
const SHARE = 0.6
/** A job for a queue that is made late is submitted so close to that moment, ms. */
const NEAR_MS = 12_000

/** A queue that is made in the middle of everything. */
export interface LateQueue extends QueuePlan {
  /** Virtual ms of the first attempt. */
  readonly atMs: number
}

/** A queue per tenant that is made while jobs for it are refused already. */
export function lateQueues(
  scenario: Scenario,
  tenants: readonly string[],
  random: SeededRandomness,
): readonly LateQueue[] {
  const spanMs = scenario.busyMs * LAST_SHARE - FIRST_MS
  return tenants.map((tenant) => ({
    ...{ name: `${tenant}-late`, tenant, weight: 1, maxDevices: 4 },
    atMs: FIRST_MS + random.float() * spanMs,
  }))
}

/** What is wrong with a request. */
const MISTAKES = ['late-queue', 'late-queue', 'no-queue', 'too-large', 'invalid'] as const

function manifestOf(init: {
  readonly mistake: (typeof MISTAKES)[number]
  readonly queue: QueuePlan
  readonly late: LateQueue
  readonly random: SeededRandomness
  readonly number: number
}): string {
  const { mistake, queue, late, random, number } = init
  const queues = { 'late-queue': late.name, 'no-queue': 'no-such-queue' } as const
  const tasks = { 'too-large': queue.maxDevices + 1, invalid: 0 } as const
  const script = {
    ...{ seconds: 5 + random.int(15), checkpointEvery: 0, failShare: 0 },
    ...{ stubborn: false, exitCode: 0 },
  }
  return JSON.stringify({
    apiVersion: 'serverlessai.job/v1',
    kind: 'Job',
    metadata: { name: `${mistake}-${number}` },
    spec: {
      type: 'Training',
      queue: mistake === 'late-queue' || mistake === 'no-queue' ? queues[mistake] : queue.name,
      tasks: mistake === 'too-large' || mistake === 'invalid' ? tasks[mistake] : 1,
      resources: { devices: 1, cpu: '100m', memory: '64Mi' },
      command: commandOf(script),
      stopGracePeriod: '3s',
      // Only the queue of the late ones is in question.
      waitForCapacity: mistake === 'late-queue',
    },
  })
}

/** Submissions that are refused, most of them more than once, by time. */
export function refusedPlans(init: {
  readonly scenario: Scenario
  readonly queues: readonly QueuePlan[]
  readonly late: readonly LateQueue[]
  readonly random: SeededRandomness
}): readonly JobPlan[] {
  const { scenario, queues, random } = init
  const spanMs = scenario.busyMs * LAST_SHARE - FIRST_MS
  const plans = Array.from({ length: Math.ceil(scenario.jobs * SHARE) }, (_, index): JobPlan => {
    const late = random.pick(init.late)
    const queue = random.pick(queues)
    const mistake = random.pick(MISTAKES)
    const nearMs = late.atMs + (random.float() * 2 - 1) * NEAR_MS
    const anyMs = FIRST_MS + random.float() * spanMs
    const ofLate = mistake === 'late-queue'
    return {
      tenant: ofLate ? late.tenant : queue.tenant,
      atMs: Math.max(FIRST_MS, ofLate ? nearMs : anyMs),
      manifest: manifestOf({ mistake, queue, late, random, number: index + 1 }),
      cancelAfterMs: undefined,
      repeatsAfterMs: Array.from({ length: 1 + random.int(3) }, () => random.float() ** 2 * 90_000),
      reusedAfterMs: random.chance(0.3) ? random.float() * 60_000 : undefined,
      watches: random.chance(0.5),
      twice: random.chance(0.5),
    }
  })
  return plans.sort((a, b) => a.atMs - b.atMs)
}
