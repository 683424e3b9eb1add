import {
  Reason_Code,
  type Reason as ReasonProto,
  Resources as ResourcesMessage,
} from '@serverless-ai/contracts/common/v1/common'
import {
  type GangRequest,
  type GiveUpRequest,
  type JobRequest,
  Queue as QueueMessage,
  type QueueStatus,
  type RecoverRequest,
  type ResizeRequest,
  type Scale,
  Scale_Unit,
  type ServiceRequest,
  type ServiceUpdate,
  ServiceUpdate_State,
  type UpdateRequest,
} from '@serverless-ai/contracts/schedule/v1/schedule'
import { RpcError } from '@serverless-ai/kernel'
import type { GiveUpJob, RecoverGang, ResizeJob } from '../core/messages.ts'
import type { ScaleNow } from '../core/scale.ts'
import type { QueueState, UpdateState } from '../core/state.ts'
import type {
  ElasticSpec,
  GangSpec,
  JobSpec,
  QueueSpec,
  Reason,
  ReasonCode,
  Resources,
  ServiceSpec,
} from '../core/types.ts'
import type { UpdateService } from '../core/update-messages.ts'
import type { UpdateNow } from '../core/updates.ts'

/**
 * Contracts ↔ core. 64-bit numbers of the contracts are whole numbers here; all ranges are checked
 * by the core.
 */

const CODES: Readonly<Record<ReasonCode, ReasonProto['code']>> = {
  NOT_YET_EVALUATED: Reason_Code.NOT_YET_EVALUATED,
  EXCEEDS_QUEUE_MAX: Reason_Code.EXCEEDS_QUEUE_MAX,
  NO_MATCHING_NODE: Reason_Code.NO_MATCHING_NODE,
  QUOTA_WAIT: Reason_Code.QUOTA_WAIT,
  CAPACITY_WAIT: Reason_Code.CAPACITY_WAIT,
  GANG_INCOMPLETE: Reason_Code.GANG_INCOMPLETE,
  DEPENDENCY_WAIT: Reason_Code.DEPENDENCY_WAIT,
  BACKOFF: Reason_Code.BACKOFF,
}

type ResourcesProto = ReturnType<typeof ResourcesMessage.create>

function resourcesFromProto(proto: ResourcesProto | undefined): Resources {
  return {
    devices: proto?.devices ?? 0,
    cpuMillis: Number(proto?.cpuMillis ?? 0n),
    memoryMib: Number(proto?.memoryMib ?? 0n),
  }
}

export function resourcesToProto(resources: Resources): ResourcesProto {
  return ResourcesMessage.create({
    devices: resources.devices,
    cpuMillis: BigInt(resources.cpuMillis),
    memoryMib: BigInt(resources.memoryMib),
  })
}

/** @param jobsAhead jobs that stand before this one, where that is known */
export function reasonToProto(reason: Reason, jobsAhead = 0): ReasonProto {
  return {
    code: CODES[reason.code],
    shortfalls: reason.shortfalls.map((shortfall) => ({
      dimension: shortfall.dimension,
      want: BigInt(shortfall.want),
      free: BigInt(Math.max(0, shortfall.free)),
      total: BigInt(shortfall.total),
      nodeId: shortfall.nodeId,
      perTask: shortfall.perTask,
    })),
    nodesTotal: reason.nodesTotal,
    nodesFiltered: reason.nodesFiltered,
    jobsAhead,
    untilMs: BigInt(Math.ceil(reason.untilMs)),
  }
}

function gangFromProto(proto: GangRequest): GangSpec {
  return {
    tasks: proto.tasks,
    perTask: resourcesFromProto(proto.perTask),
    deviceModels: [...proto.deviceModels],
    rank0Ports: proto.rank0Ports,
    exclusive: proto.exclusive,
    ...(proto.minTasks === 0 && proto.maxTasks === 0 ? {} : { elastic: elasticFromProto(proto) }),
  }
}

function elasticFromProto(proto: GangRequest): ElasticSpec {
  return {
    minTasks: proto.minTasks,
    maxTasks: proto.maxTasks,
    cooldownMs: Number(proto.cooldownMs),
    noticeMs: Number(proto.noticeMs),
  }
}

function serviceFromProto(proto: ServiceRequest): ServiceSpec {
  const { minReplicas, maxReplicas, replicas, drainMs } = proto
  return { minReplicas, maxReplicas, replicas, drainMs: Number(drainMs) }
}

/** Throws INVALID_ARGUMENT when there is no job, or not exactly one gang. */
export function jobFromProto(proto: JobRequest | undefined): JobSpec {
  if (proto === undefined) throw missing('job')
  const gang = proto.gangs[0]
  if (gang === undefined || proto.gangs.length > 1) {
    throw new RpcError({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_SPEC',
      message: `a job has exactly one gang, not ${proto.gangs.length}`,
      metadata: { field: 'gangs', want: '1', have: String(proto.gangs.length) },
    })
  }
  return {
    jobId: proto.jobId,
    tenant: proto.tenant,
    queue: proto.queue,
    name: proto.name,
    gang: gangFromProto(gang),
    waitForCapacity: proto.waitForCapacity,
    priority: proto.priority,
    submittedMs: Number(proto.submittedMs),
    ...(proto.service === undefined ? {} : { service: serviceFromProto(proto.service) }),
  }
}

/** Defaults: weight 1, priority 0, no maximum. Throws INVALID_ARGUMENT when there is no queue. */
export function queueFromProto(proto: QueueMessage | undefined): QueueSpec {
  if (proto === undefined) throw missing('queue')
  return {
    name: proto.name,
    tenant: proto.tenant,
    weight: proto.weight === 0 ? 1 : proto.weight,
    priority: proto.priority,
    maximum: resourcesFromProto(proto.maximum),
  }
}

export function queueToProto(queue: QueueSpec): QueueMessage {
  const { name, tenant, weight, priority } = queue
  const maximum = resourcesToProto(queue.maximum)
  return QueueMessage.create({ name, tenant, weight, priority, maximum })
}

export function queueStatusToProto(queue: QueueState): QueueStatus {
  return {
    queue: queueToProto(queue.spec),
    queuedJobs: queue.queued + queue.recovering.length,
    runningJobs: queue.placed,
    used: resourcesToProto(queue.used),
  }
}

/** Throws INVALID_ARGUMENT when there is no plan. */
export function recoverFromProto(proto: RecoverRequest): RecoverGang {
  const { plan } = proto
  if (plan === undefined) throw missing('plan')
  return {
    type: 'RecoverGang',
    jobId: proto.jobId,
    gang: proto.gang,
    expectedGeneration: proto.expectedGeneration,
    plan: {
      incidentId: plan.incidentId,
      checkpointPath: plan.checkpointPath,
      checkpointStep: Number(plan.checkpointStep),
      notBeforeMs: Number(plan.notBeforeMs),
      avoidNodes: [...plan.avoidNodes],
      cause: plan.cause,
      restartsCharged: plan.restartsCharged,
    },
  }
}

export function giveUpFromProto(proto: GiveUpRequest): GiveUpJob {
  const { jobId, gang, expectedGeneration, cause, code, incidentId } = proto
  return { type: 'GiveUpJob', jobId, gang, expectedGeneration, cause, code, incidentId }
}

export function resizeFromProto(proto: ResizeRequest): ResizeJob {
  const { jobId, wanted, owner, by, decisionId, cause, release } = proto
  const expectedVersion = Number(proto.expectedVersion)
  return {
    type: 'ResizeJob',
    jobId,
    wanted,
    expectedVersion,
    owner,
    by,
    decisionId,
    cause,
    release,
  }
}

/** Undefined for a job without a scale. */
export function scaleToProto(scale: ScaleNow | undefined): Scale | undefined {
  if (scale === undefined) return undefined
  const { unit, min, max, granted, ready, draining, notBeforeMs } = scale
  const { wanted, version, owner, decisionId, changedAtMs } = scale.state
  return {
    unit: unit === 'Tasks' ? Scale_Unit.TASKS : Scale_Unit.REPLICAS,
    min,
    max,
    wanted,
    granted,
    ready,
    draining,
    version: BigInt(version),
    owner,
    decisionId,
    changedMs: BigInt(Math.floor(changedAtMs)),
    notBeforeMs: BigInt(Math.ceil(notBeforeMs)),
  }
}

export function updateFromProto(proto: UpdateRequest): UpdateService {
  const { jobId, revision, maxSurge, maxUnavailable, by } = proto
  return {
    type: 'UpdateService',
    jobId,
    number: Number(proto.number),
    revision,
    drainMs: Number(proto.drainMs),
    maxSurge,
    maxUnavailable,
    startupDeadlineMs: Number(proto.startupDeadlineMs),
    by,
  }
}

const UPDATE_STATES: Readonly<Record<UpdateState['at'], ServiceUpdate['state']>> = {
  Rolling: ServiceUpdate_State.ROLLING,
  Stalled: ServiceUpdate_State.STALLED,
  Done: ServiceUpdate_State.DONE,
}

/** Undefined where there was no update. */
export function updateToProto(update: UpdateNow | undefined): ServiceUpdate | undefined {
  if (update === undefined) return undefined
  const { at, number, revision, from, cause, startedAtMs, changedAtMs } = update.state
  return {
    number: BigInt(number),
    revision,
    fromRevision: from,
    state: UPDATE_STATES[at],
    updated: update.updated,
    outdated: update.outdated,
    cause,
    code: at === 'Stalled' ? 'UPDATE_STALLED' : '',
    startedMs: BigInt(Math.floor(startedAtMs)),
    changedMs: BigInt(Math.floor(changedAtMs)),
  }
}

function missing(field: string): RpcError {
  return new RpcError({
    code: 'INVALID_ARGUMENT',
    reason: 'INVALID_SPEC',
    message: `${field} is missing`,
    metadata: { field },
    violations: [{ field, description: 'is required' }],
  })
}
