import { encodeMessage } from '@serverless-ai/contracts/encode'
import {
  JobSubmitted,
  LaunchPrepared,
  ServiceDeclared,
  ServiceDeclared_Affinity,
  ServiceDeclared_Protocol,
  ServiceEnded,
} from '@serverless-ai/contracts/events/v1/mediator'
import { EVENTS } from '@serverless-ai/contracts/names'
import type { ReadinessProbe } from '@serverless-ai/contracts/pool/v1/pool'
import type { ScalingSettings } from '@serverless-ai/contracts/scaling/v1/scaling'
import type { PublicDraft } from '@serverless-ai/runtime'
import type { ScalingSpec, ServiceSpec } from '../core/job-spec.ts'
import { serverContract } from '../core/launch/server.ts'
import { torchrunContract } from '../core/launch/torchrun.ts'
import type { MediatorEvent } from '../core/messages.ts'
import { isFinished, type JobRecord, type MediatorState, type Placement } from '../core/model.ts'
import { describedMs, specOf } from '../core/revisions.ts'

function draft(job: JobRecord, name: string, payload: Uint8Array): PublicDraft {
  return { type: `${EVENTS}${name}`, key: job.jobId, tenant: job.tenant, payload }
}

function submitted(job: JobRecord): PublicDraft {
  const { spec } = job
  const message: JobSubmitted = {
    jobId: job.jobId,
    tenant: job.tenant,
    queue: spec.queue,
    name: spec.name,
    restartsMax: spec.retry.maxRestarts,
    userRestartsMax: spec.retry.onUserError,
    backoffMs: BigInt(spec.retry.backoffMs),
    exclusive: spec.exclusive,
    atMs: BigInt(job.submittedMs),
    kind: spec.type,
    startupDeadlineMs: BigInt(spec.service?.readiness.startupDeadlineMs ?? 0),
  }
  return draft(job, 'JobSubmitted', encodeMessage(JobSubmitted, message))
}

const PROTOCOLS = {
  http1: ServiceDeclared_Protocol.HTTP1,
  http2: ServiceDeclared_Protocol.HTTP2,
  grpc: ServiceDeclared_Protocol.GRPC,
  openai: ServiceDeclared_Protocol.OPENAI,
} as const

function scalingToProto(scaling: ScalingSpec): ScalingSettings {
  const { policy, idleMs, targetMilli = 0, capacityMilli = 0 } = scaling
  return { policy, idleMs: BigInt(idleMs), targetMilli, capacityMilli: BigInt(capacityMilli) }
}

function declared(job: JobRecord, service: ServiceSpec): PublicDraft {
  const { spec, jobId, tenant } = job
  const message: ServiceDeclared = {
    jobId,
    tenant,
    name: spec.name,
    protocol: PROTOCOLS[service.protocol],
    portName: service.portName,
    concurrency: service.concurrency,
    tokens: BigInt(service.tokens),
    minReplicas: service.replicas.min,
    maxReplicas: service.replicas.max,
    drainMs: BigInt(service.drainMs),
    objectives: service.objectives,
    class: service.requestClass,
    affinity:
      service.affinity === 'session'
        ? ServiceDeclared_Affinity.SESSION
        : ServiceDeclared_Affinity.NONE,
    startupDeadlineMs: BigInt(service.readiness.startupDeadlineMs),
    devicesPerReplica: spec.tasks * spec.resources.devices,
    scaling: service.scaling && scalingToProto(service.scaling),
    atMs: BigInt(describedMs(job)),
  }
  return draft(job, 'ServiceDeclared', encodeMessage(ServiceDeclared, message))
}

function serviceEnded(job: JobRecord): PublicDraft {
  const { jobId, tenant, spec, finishedMs } = job
  const message: ServiceEnded = { jobId, tenant, name: spec.name, atMs: BigInt(finishedMs) }
  return draft(job, 'ServiceEnded', encodeMessage(ServiceEnded, message))
}

/** What others hear of a job that was taken. */
function taken(job: JobRecord): PublicDraft[] {
  const { service } = job.spec
  return service === undefined ? [submitted(job)] : [submitted(job), declared(job, service)]
}

function probeOf({ readiness }: ServiceSpec): ReadinessProbe {
  const { httpGet, periodMs, timeoutMs, failureThreshold, successThreshold } = readiness
  const tcp = { $case: 'tcp', value: true } as const
  const probe = httpGet === '' ? tcp : ({ $case: 'httpGet', value: httpGet } as const)
  return { probe, port: 0, periodMs, timeoutMs, failureThreshold, successThreshold }
}

function launch(job: JobRecord, placement: Placement): PublicDraft {
  const spec = specOf(job, placement.revision)
  const { jobId } = job
  // A placement is recorded, the contract follows from it: 16,384 environments stay out of the log.
  const contract =
    spec.service === undefined
      ? torchrunContract(job, placement)
      : serverContract({ jobId, spec }, placement)
  const message: LaunchPrepared = {
    jobId: job.jobId,
    gang: placement.gang,
    generation: placement.generation,
    tenant: job.tenant,
    command: contract.command,
    env: contract.env,
    rankEnv: contract.rankEnv.map((env) => ({ env })),
    workspace: spec.workspace,
    stopGraceMs: BigInt(spec.stopGracePeriodMs),
    logMaxBytes: BigInt(spec.logMaxBytes),
    readiness: spec.service && probeOf(spec.service),
    revision: placement.revision ?? 0,
  }
  return draft(job, 'LaunchPrepared', encodeMessage(LaunchPrepared, message))
}

/** Public events of a domain event; `state` is the state after it. */
export function publish(event: MediatorEvent, state: MediatorState): readonly PublicDraft[] {
  if (event.type === 'JobStateObserved') {
    const job = state.jobs.get(event.view.jobId)
    const over = job?.spec.service !== undefined && isFinished(event.view.state)
    return over ? [serviceEnded(job)] : []
  }
  if (event.type === 'ServiceUpdated') {
    const job = state.jobs.get(event.jobId)
    const service = job?.spec.service
    return job === undefined || service === undefined ? [] : [declared(job, service)]
  }
  if (event.type !== 'JobEnqueued' && event.type !== 'LaunchPrepared') return []
  const job = state.jobs.get(event.jobId)
  if (job === undefined) return []
  // A job is told to others when it is certain that it was not refused.
  return event.type === 'JobEnqueued' ? taken(job) : [launch(job, event.placement)]
}

/** What an empty consumer must see: open jobs and their current launch contracts. */
export function* snapshotFeed(state: MediatorState): Iterable<PublicDraft> {
  for (const job of state.jobs.values()) {
    if (!job.enqueued || isFinished(job.state)) continue
    yield* taken(job)
    if (job.placement !== null) yield launch(job, job.placement)
    for (const { placement } of job.replicas ?? []) yield launch(job, placement)
  }
}
