import type { Principal } from '@serverless-ai/kernel'

/** Roles of the platform. `public` methods need no token. */
export type Role = 'tenant' | 'admin' | 'agent' | 'service'

/** Who may call a method, by its path. */
export type AccessTable = Readonly<Record<string, readonly Role[] | 'public'>>

const S = '/serverlessai.'
const people = ['tenant', 'admin'] as const
const readers = ['tenant', 'admin', 'service'] as const

/**
 * The one table of who may call what. A method without a row cannot be served. Handlers narrow it
 * further by tenant: a tenant sees and touches its own jobs only.
 */
export const ACCESS: AccessTable = {
  [`${S}job.v1.JobService/SubmitJob`]: people,
  [`${S}job.v1.JobService/GetJob`]: readers,
  [`${S}job.v1.JobService/ListJobs`]: readers,
  [`${S}job.v1.JobService/WatchJob`]: readers,
  [`${S}job.v1.JobService/CancelJob`]: people,
  [`${S}job.v1.JobService/ScaleJob`]: people,
  [`${S}job.v1.JobService/UpdateService`]: people,
  [`${S}job.v1.JobService/ExplainJob`]: readers,
  [`${S}job.v1.WorkspaceService/UploadWorkspace`]: people,
  [`${S}job.v1.WorkspaceService/DownloadWorkspace`]: ['agent', 'service'],
  [`${S}schedule.v1.SchedulerService/Validate`]: ['service'],
  [`${S}schedule.v1.SchedulerService/Enqueue`]: ['service'],
  [`${S}schedule.v1.SchedulerService/Cancel`]: ['service'],
  [`${S}schedule.v1.SchedulerService/Recover`]: ['service'],
  [`${S}schedule.v1.SchedulerService/GiveUp`]: ['service'],
  [`${S}schedule.v1.SchedulerService/Resize`]: ['service'],
  [`${S}schedule.v1.SchedulerService/Update`]: ['service'],
  [`${S}schedule.v1.SchedulerService/Explain`]: readers,
  [`${S}schedule.v1.QueueService/CreateQueue`]: ['admin'],
  [`${S}schedule.v1.QueueService/ListQueues`]: readers,
  [`${S}pool.v1.PoolService/ListNodes`]: readers,
  [`${S}pool.v1.PoolService/ListExecutions`]: readers,
  [`${S}pool.v1.PoolService/ReadLogs`]: readers,
  [`${S}agent.v1.AgentService/Connect`]: ['agent'],
  [`${S}recovery.v1.RecoveryService/ListIncidents`]: readers,
  [`${S}recovery.v1.RecoveryService/ExplainIncidents`]: readers,
  [`${S}recovery.v1.CheckpointService/ListCheckpoints`]: readers,
  [`${S}objective.v1.ObjectiveService/CreateObjective`]: people,
  [`${S}objective.v1.ObjectiveService/UpdateObjective`]: people,
  [`${S}objective.v1.ObjectiveService/DeleteObjective`]: people,
  [`${S}objective.v1.ObjectiveService/GetObjective`]: readers,
  [`${S}objective.v1.ObjectiveService/ListObjectives`]: readers,
  [`${S}objective.v1.ObjectiveService/GetObjectiveStatus`]: readers,
  [`${S}objective.v1.ObjectiveService/GetLedger`]: readers,
  [`${S}objective.v1.ObjectiveService/ExplainObjective`]: readers,
  [`${S}scaling.v1.ScalingService/Demand`]: ['service'],
  [`${S}scaling.v1.ScalingService/ListTargets`]: readers,
  [`${S}scaling.v1.ScalingService/GetTarget`]: readers,
  [`${S}scaling.v1.ScalingService/Explain`]: readers,
  [`${S}scaling.v1.ScalingService/SetMode`]: people,
  [`${S}telemetry.v1.TelemetryIntakeService/SendTelemetry`]: ['agent'],
  [`${S}profile.v1.ProfileService/GetProfile`]: readers,
  [`${S}profile.v1.ProfileService/ListProfiles`]: readers,
  [`${S}profile.v1.ProfileService/Forecast`]: readers,
  [`${S}profile.v1.ProfileService/ExplainProfile`]: readers,
  [`${S}feed.v1.EventFeedService/GetFeedSnapshot`]: ['service', 'admin'],
  [`${S}feed.v1.EventFeedService/WatchFeed`]: ['service', 'admin'],
  [`${S}admin.v1.AdminService/GetStatus`]: ['admin', 'service'],
  [`${S}admin.v1.AdminService/RaiseFeatureLevel`]: ['admin'],
  [`${S}admin.v1.AdminService/VoidRecord`]: ['admin'],
  '/grpc.health.v1.Health/Check': 'public',
  '/grpc.health.v1.Health/List': 'public',
  '/grpc.health.v1.Health/Watch': 'public',
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo': 'public',
}

/** True for operators and services, who see what belongs to any tenant. */
export const seesAll = ({ roles }: Principal): boolean =>
  roles.includes('admin') || roles.includes('service')

/** True when the caller may see what belongs to `tenant`. What belongs to nobody is no tenant's. */
export const seesTenant = (principal: Principal, tenant: string): boolean =>
  seesAll(principal) || (principal.tenant !== '' && principal.tenant === tenant)
