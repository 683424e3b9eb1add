/** What users want: jobs, drawn before anything happens. */
import type { SeededRandomness } from '@serverless-ai/kernel/testing'
import type { Scenario } from '../../scenarios/types.ts'
import { commandOf } from '../nodes/script.ts'
import type { TaskScript } from '../types.ts'

/** A queue of a tenant. */
export interface QueuePlan {
  readonly name: string
  readonly tenant: string
  readonly weight: number
  /** Devices that its running jobs may hold; 0 = no maximum. */
  readonly maxDevices: number
}

/** A job and what its user does about it. */
export interface JobPlan {
  readonly tenant: string
  /** Virtual ms of the first attempt to submit it. */
  readonly atMs: number
  /** The description, JSON. */
  readonly manifest: string
  /** It is cancelled so long after it was accepted, ms. */
  readonly cancelAfterMs: number | undefined
  /** The same request is sent again so long after its answer, ms. */
  readonly repeatsAfterMs: readonly number[]
  /** Another request is sent under the same id so long after the answer, ms. */
  readonly reusedAfterMs: number | undefined
  /** Follows it by a watch; otherwise by reads. */
  readonly watches: boolean
  /** Sends the first request to two replicas at once. */
  readonly twice: boolean
  /** It is scaled so; absent = it cannot be. */
  readonly scales?: readonly ScalePlan[]
  /** It is updated so; absent = it cannot be. */
  readonly updates?: readonly UpdatePlan[]
}

/** A number of replicas or tasks, so long after the job was accepted. */
export interface ScalePlan {
  readonly afterMs: number
  readonly wanted: number | 'auto'
}

/** Another description of a service, so long after the job was accepted. */
export interface UpdatePlan {
  readonly afterMs: number
  /** JSON; empty = back to the first revision. */
  readonly manifest: string
}

/** Submissions begin when the first nodes are there, ms. */
export const FIRST_MS = 12_000
/** The last job comes at this share of the busy time. */
export const LAST_SHARE = 0.85

/** Two queues per tenant: a wide one, and one with a tight quota. */
export function queuePlans(scenario: Scenario, tenants: readonly string[]): readonly QueuePlan[] {
  const devices = scenario.nodes * scenario.devicesPerNode
  return tenants.flatMap((tenant, index) => [
    { name: `${tenant}-wide`, tenant, weight: 1 + index, maxDevices: Math.ceil(devices * 0.7) },
    { name: `${tenant}-tight`, tenant, weight: 1, maxDevices: Math.max(2, Math.ceil(devices / 6)) },
  ])
}

function scriptFor(random: SeededRandomness): TaskScript {
  return {
    seconds: 10 + random.int(random.chance(0.2) ? 150 : 60),
    checkpointEvery: random.chance(0.6) ? 5 + random.int(15) : 0,
    failShare: random.chance(0.2) ? 0.01 : 0,
    stubborn: random.chance(0.1),
    exitCode: random.chance(0.04) ? 3 : 0,
  }
}

/** Numbers of tasks and of devices of each that fit below a maximum of devices. */
function sizeFor(random: SeededRandomness, most: { devices: number; perNode: number }) {
  const devices = Math.min(most.perNode, random.pick([0, 1, 1, 1, 2]))
  const fitting = devices === 0 ? 8 : Math.max(1, Math.floor(most.devices / devices))
  const tasks = Math.min(1 + random.int(8), fitting)
  return { tasks, devices }
}

function jobPlan(init: {
  readonly scenario: Scenario
  readonly queues: readonly QueuePlan[]
  readonly random: SeededRandomness
  readonly number: number
}): JobPlan {
  const { scenario, queues, random, number } = init
  const queue = random.pick(queues)
  const fleet = scenario.nodes * scenario.devicesPerNode
  const devicesMost = Math.min(queue.maxDevices, Math.ceil(fleet / 2))
  const { tasks, devices } = sizeFor(random, {
    devices: devicesMost,
    perNode: scenario.devicesPerNode,
  })
  // Some ask for what they cannot have: they are refused and nothing is left of it, or they insist
  // on waiting and give up.
  const impossible = random.chance(0.05)
  const waits = impossible ? random.chance(0.3) : random.chance(0.9)
  const manifest = {
    apiVersion: 'serverlessai.job/v1',
    kind: 'Job',
    metadata: { name: `job-${number}` },
    spec: {
      type: 'Training',
      queue: impossible && random.chance(0.5) ? 'no-such-queue' : queue.name,
      tasks: impossible ? queue.maxDevices + 1 : tasks,
      resources: { devices: impossible ? 1 : devices, cpu: '100m', memory: '64Mi' },
      command: commandOf(scriptFor(random)),
      exclusive: random.chance(0.25),
      retry: {
        maxRestarts: random.pick([3, 10, 30]),
        onUserError: random.pick([0, 0, 2]),
        backoff: random.pick(['1s', '2s', '5s']),
      },
      stopGracePeriod: '3s',
      waitForCapacity: waits,
      priority: random.int(3),
    },
  }
  const spanMs = Math.max(0, scenario.busyMs * LAST_SHARE - FIRST_MS)
  const repeats = random.chance(0.3) ? 1 + random.int(2) : 0
  return {
    tenant: queue.tenant,
    atMs: FIRST_MS + random.float() * spanMs,
    manifest: JSON.stringify(manifest),
    cancelAfterMs: random.chance(impossible ? 1 : 0.15) ? random.float() * 60_000 : undefined,
    repeatsAfterMs: Array.from({ length: repeats }, () => random.float() ** 3 * 240_000),
    watches: random.chance(0.4),
    twice: random.chance(0.1),
    reusedAfterMs: random.chance(0.1) ? random.float() * 120_000 : undefined,
  }
}

/** The jobs of a scenario, by time. */
export function jobPlans(
  scenario: Scenario,
  queues: readonly QueuePlan[],
  random: SeededRandomness,
): readonly JobPlan[] {
  const plans = Array.from({ length: scenario.jobs }, (_, index) =>
    jobPlan({ scenario, queues, random, number: index + 1 }),
  )
  return plans.sort((a, b) => a.atMs - b.atMs)
}
