/** Jobs that are scaled while they run: services, and elastic trainings. */
import type { SeededRandomness } from '@serverless-ai/kernel/testing'
import type { Scenario } from '../../scenarios/types.ts'
import { commandOf, QUIET_SCRIPT } from '../nodes/script.ts'
import {
  FIRST_MS,
  type JobPlan,
  LAST_SHARE,
  type QueuePlan,
  type ScalePlan,
  type UpdatePlan,
} from './plans.ts'

/** Such jobs for each job of the scenario. */
const SHARE = 0.12
/** A server runs until it is ended. */
const FOR_EVER_S = 1_000_000
const MOST = 4

function scalesFor(random: SeededRandomness, withinMs: number): readonly ScalePlan[] {
  return Array.from({ length: 1 + random.int(4) }, () => ({
    afterMs: random.float() * withinMs,
    wanted: random.chance(0.15) ? ('auto' as const) : random.int(MOST + 1),
  }))
}

function service(random: SeededRandomness) {
  const min = random.int(2)
  // Some never stay up, and are given up when they never were ready.
  const failShare = random.chance(0.3) ? random.pick([0.02, 0.4]) : 0
  return {
    type: 'Inference',
    command: commandOf({ ...QUIET_SCRIPT, seconds: FOR_EVER_S, failShare }),
    replicas: { min, max: MOST, initial: Math.max(min, random.int(3)) },
    serve: {
      drain: `${random.int(5)}s`,
      readiness: { httpGet: '/healthz', startupDeadline: random.pick(['5s', '30s']) },
    },
  }
}

function training(random: SeededRandomness) {
  const script = { ...QUIET_SCRIPT, seconds: 30 + random.int(60) }
  return {
    type: 'Training',
    tasks: 2,
    elastic: {
      minTasks: 1,
      maxTasks: MOST,
      cooldown: `${5 + random.int(15)}s`,
      notice: `${5 + random.int(10)}s`,
    },
    command: commandOf({ ...script, checkpointEvery: random.chance(0.7) ? 10 : 0 }),
  }
}

/** Updates of a service: to servers that mostly fail, to good ones, and back. */
function updatesFor(
  random: SeededRandomness,
  manifest: { readonly spec: object },
  withinMs: number,
): readonly UpdatePlan[] {
  return Array.from({ length: random.int(3) }, () => {
    const failShare = random.chance(0.3) ? 0.9 : 0
    const command = commandOf({ ...QUIET_SCRIPT, seconds: FOR_EVER_S, failShare })
    const env = { REVISION: String(random.int(3)) }
    const next = { ...manifest, spec: { ...manifest.spec, command, env } }
    const back = random.chance(0.2)
    return { afterMs: random.float() * withinMs, manifest: back ? '' : JSON.stringify(next) }
  })
}

/** The jobs of a scenario that are scaled, by time. */
export function scalingPlans(
  scenario: Scenario,
  queues: readonly QueuePlan[],
  random: SeededRandomness,
): readonly JobPlan[] {
  const spanMs = Math.max(0, scenario.busyMs * LAST_SHARE - FIRST_MS)
  const plans = Array.from({ length: Math.ceil(scenario.jobs * SHARE) }, (_, index) => {
    const queue = random.pick(queues)
    const serves = random.chance(0.6)
    const manifest = {
      apiVersion: 'serverlessai.job/v1',
      kind: 'Job',
      metadata: { name: `${serves ? 'service' : 'elastic'}-${index + 1}` },
      spec: {
        queue: queue.name,
        resources: { devices: 1, cpu: '100m', memory: '64Mi' },
        stopGracePeriod: '3s',
        retry: { maxRestarts: 5, onUserError: 1, backoff: '1s' },
        waitForCapacity: true,
        ...(serves ? service(random) : training(random)),
      },
    }
    const lifeMs = 30_000 + random.float() * 90_000
    return {
      tenant: queue.tenant,
      atMs: FIRST_MS + random.float() * spanMs,
      manifest: JSON.stringify(manifest),
      // A service has no end of its own.
      cancelAfterMs: serves ? lifeMs : undefined,
      repeatsAfterMs: [],
      watches: random.chance(0.4),
      twice: random.chance(0.1),
      reusedAfterMs: undefined,
      scales: scalesFor(random, lifeMs),
      ...(serves ? { updates: updatesFor(random, manifest, lifeMs) } : {}),
    }
  })
  return plans.sort((a, b) => a.atMs - b.atMs)
}
