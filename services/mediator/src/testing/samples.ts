import type { JobSpec, ServiceSpec } from '../core/job-spec.ts'
import type { SchedulerView } from '../core/messages.ts'
import type { Placement } from '../core/model.ts'

/** A small valid job. */
export function jobSpec(more: Partial<JobSpec> = {}): JobSpec {
  return {
    name: 'digits',
    queue: 'vision',
    type: 'Training',
    tasks: 2,
    resources: { devices: 1, deviceModels: [], cpuMillis: 500, memoryMib: 512 },
    command: ['node', 'train.js'],
    env: {},
    workspace: '',
    ports: 1,
    exclusive: false,
    retry: { maxRestarts: 3, onUserError: 0, backoffMs: 1000 },
    stopGracePeriodMs: 3000,
    waitForCapacity: false,
    logMaxBytes: 16 * 1024 * 1024,
    priority: 0,
    ...more,
  }
}

/** What a small service serves. */
export function serviceSpec(more: Partial<ServiceSpec> = {}): ServiceSpec {
  return {
    protocol: 'http1',
    portName: 'http',
    concurrency: 16,
    tokens: 0,
    affinity: 'none',
    requestClass: 'standard',
    objectives: [],
    drainMs: 5_000,
    update: { maxSurge: 1, maxUnavailable: 0 },
    replicas: { min: 0, max: 4, initial: 1 },
    readiness: {
      httpGet: '/healthz',
      periodMs: 1_000,
      timeoutMs: 1_000,
      failureThreshold: 3,
      successThreshold: 1,
      startupDeadlineMs: 60_000,
    },
    ...more,
  }
}

/** A placement of two ranks on one node. */
export function placementOf(generation: number, more: Partial<Placement> = {}): Placement {
  return {
    gang: 0,
    generation,
    nodes: ['n1'],
    nodeOfRank: [0, 0],
    rank0Ports: [30_000],
    masterAddress: '127.0.0.1',
    checkpointPath: '',
    checkpointStep: 0,
    emulated: true,
    ...more,
  }
}

/** What the scheduler says of a job. */
export function viewOf(jobId: string, more: Partial<SchedulerView> = {}): SchedulerView {
  return {
    jobId,
    state: 'Queued',
    reason: null,
    generation: 0,
    atMs: 1000,
    message: '',
    code: '',
    resultJson: '',
    ...more,
  }
}
