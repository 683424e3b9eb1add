import type { ResizeJob, SchedulerCommand } from '../core/messages.ts'
import type { ElasticSpec, JobSpec, ServiceSpec } from '../core/types.ts'
import { job } from './commands.ts'

/** Short words for specs about services and elastic jobs. */

/** An Inference job of one-device replicas in queue `q`: 0 to 4, one at first, drained for 5 s. */
export function service(
  jobId: string,
  words: Partial<ServiceSpec> & Partial<Pick<JobSpec, 'queue'>> & { devices?: number } = {},
): SchedulerCommand {
  const { queue = 'q', devices = 1, ...own } = words
  const base = { minReplicas: 0, maxReplicas: 4, replicas: 1, drainMs: 5_000 }
  const gang = job(jobId, { queue, devices, rank0Ports: 1 })
  return { type: 'EnqueueJob', job: { ...gang, service: { ...base, ...own } } }
}

/** A Training job of 1 to 4 one-device tasks, two at first, one change of size a minute. */
export function elastic(
  jobId: string,
  words: Partial<ElasticSpec> & { tasks?: number } = {},
): SchedulerCommand {
  const { tasks = 2, ...own } = words
  const limits = { minTasks: 1, maxTasks: 4, cooldownMs: 60_000, noticeMs: 10_000, ...own }
  const spec = job(jobId, { tasks, rank0Ports: 1 })
  return { type: 'EnqueueJob', job: { ...spec, gang: { ...spec.gang, elastic: limits } } }
}

/** A controller's decision upon a version. */
export function resize(
  jobId: string,
  wanted: number,
  words: Partial<Omit<ResizeJob, 'type'>> = {},
): ResizeJob {
  const { expectedVersion = 1, ...more } = words
  const decisionId = `d-${jobId}-${expectedVersion}-${wanted}`
  const base = { owner: 'autoscaler', by: 'autoscaler', cause: 'load', release: false }
  return { type: 'ResizeJob', jobId, wanted, expectedVersion, decisionId, ...base, ...more }
}

/** A user's decision upon whatever is current. */
export function scaleByHand(jobId: string, wanted: number): ResizeJob {
  return resize(jobId, wanted, { owner: 'user', by: 'token:team', expectedVersion: 0 })
}

/** The only rank of a replica started. */
export function up(jobId: string, gang: number, generation = 1): SchedulerCommand {
  return { type: 'ObserveTasks', jobId, gang, generation, started: [0], ended: [] }
}

/** Its probe says so. */
export function probed(jobId: string, gang: number, ready: boolean, generation = 1) {
  const cause = ready ? '' : 'GET /healthz: 503'
  return {
    type: 'ObserveReadiness',
    jobId,
    gang,
    generation,
    rank: 0,
    ready,
    cause,
  } as const satisfies SchedulerCommand
}
