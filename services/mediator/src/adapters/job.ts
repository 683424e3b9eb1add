import {
  type Job,
  Job_State,
  type Replica as ReplicaProto,
} from '@serverless-ai/contracts/job/v1/job'
import type { JobRequest, ServiceRequest } from '@serverless-ai/contracts/schedule/v1/schedule'
import type { JobSpec, ServiceSpec } from '../core/job-spec.ts'
import {
  isFinished,
  type JobRecord,
  type JobState,
  type Placement,
  type Replica,
} from '../core/model.ts'
import { currentRevision } from '../core/revisions.ts'
import { renderDescription } from './description/parse.ts'
import { reasonToProto } from './reason.ts'
import { scaleToProto } from './scale.ts'
import { updateToProto } from './update.ts'

const STATES: Readonly<Record<JobState, Job_State>> = {
  Submitted: Job_State.SUBMITTED,
  Queued: Job_State.QUEUED,
  Admitted: Job_State.ADMITTED,
  Starting: Job_State.STARTING,
  Running: Job_State.RUNNING,
  Recovering: Job_State.RECOVERING,
  Succeeded: Job_State.SUCCEEDED,
  Failed: Job_State.FAILED,
  Cancelled: Job_State.CANCELLED,
  Rejected: Job_State.REJECTED,
}

/** The core's state of a name the scheduler uses; undefined for one that is not known here. */
export function stateFromName(name: string): JobState | undefined {
  return isState(name) ? name : undefined
}

function isState(name: string): name is JobState {
  return Object.hasOwn(STATES, name)
}

/** The message value of a state. */
export const stateToProto = (state: JobState): Job_State => STATES[state]

const nodesByRank = ({ nodes, nodeOfRank }: Placement): string[] =>
  nodeOfRank.map((node) => nodes[node] ?? '')

/** A job as its owner sees it. `manifest`: with the description (left out of lists). */
export function jobToProto(job: JobRecord, options: { manifest: boolean }): Job {
  const { spec, placement, progress, checkpoint, replicas = [] } = job
  const held = placement !== null && placement.generation === job.generation
  return {
    jobId: job.jobId,
    name: spec.name,
    tenant: job.tenant,
    queue: spec.queue,
    state: STATES[job.state],
    reason: isFinished(job.state) ? undefined : reasonToProto(job.reason),
    generation: job.generation,
    tasks: held && spec.elastic !== undefined ? placement.nodeOfRank.length : spec.tasks,
    devicesPerTask: spec.resources.devices,
    progress:
      progress === null
        ? undefined
        : {
            step: BigInt(progress.step),
            totalSteps: BigInt(progress.totalSteps),
            loss: progress.loss ?? Number.NaN,
            atMs: BigInt(progress.atMs),
          },
    resultJson: job.resultJson,
    submittedMs: BigInt(job.submittedMs),
    startedMs: BigInt(job.startedMs),
    finishedMs: BigInt(job.finishedMs),
    message: job.message,
    manifest: options.manifest ? renderDescription(spec) : '',
    nodes: held
      ? nodesByRank(placement)
      : replicas.map(({ placement: at }) => nodesByRank(at)[0] ?? ''),
    checkpoint:
      checkpoint === null
        ? undefined
        : {
            step: BigInt(checkpoint.step),
            generation: checkpoint.generation,
            path: checkpoint.path,
          },
    emulatedDevices: (placement ?? replicas[0]?.placement)?.emulated ?? false,
    kind: spec.type,
    scale: job.scale && scaleToProto(job.scale),
    replicas: options.manifest ? replicas.map(replicaToProto) : [],
    revision: spec.service === undefined ? 0 : currentRevision(job),
    update: job.update && updateToProto(job.update),
  }
}

function replicaToProto(replica: Replica): ReplicaProto {
  const { placement, ready, served, draining, cause, address, port } = replica
  const { gang, generation, revision = 1 } = placement
  const state = draining ? 'Draining' : ready ? 'Ready' : served ? 'NotReady' : 'Starting'
  const node = nodesByRank(placement)[0] ?? ''
  const shown = ready ? '' : cause
  return { gang, generation, state, node, address, port, cause: shown, revision }
}

function serviceRequest({ replicas, drainMs }: ServiceSpec): ServiceRequest {
  const { min: minReplicas, max: maxReplicas, initial } = replicas
  return { minReplicas, maxReplicas, replicas: initial, drainMs: BigInt(drainMs) }
}

/** What the scheduler is asked to queue. */
export function jobRequest(order: {
  readonly jobId: string
  readonly tenant: string
  readonly spec: JobSpec
  readonly submittedMs: number
}): JobRequest {
  const { jobId, tenant, spec, submittedMs } = order
  const { devices, deviceModels, cpuMillis, memoryMib } = spec.resources
  return {
    jobId,
    tenant,
    queue: spec.queue,
    name: spec.name,
    gangs: [
      {
        tasks: spec.tasks,
        perTask: { devices, cpuMillis: BigInt(cpuMillis), memoryMib: BigInt(memoryMib) },
        deviceModels,
        rank0Ports: spec.ports,
        exclusive: spec.exclusive,
        minTasks: spec.elastic?.minTasks ?? 0,
        maxTasks: spec.elastic?.maxTasks ?? 0,
        cooldownMs: BigInt(spec.elastic?.cooldownMs ?? 0),
        noticeMs: BigInt(spec.elastic?.noticeMs ?? 0),
      },
    ],
    waitForCapacity: spec.waitForCapacity,
    priority: spec.priority,
    submittedMs: BigInt(submittedMs),
    service: spec.service && serviceRequest(spec.service),
  }
}
