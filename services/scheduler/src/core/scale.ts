import { cooldownUntil } from './resize.ts'
import { counted, isReady } from './services.ts'
import type { Job, ScaleState, SchedulerState, Service } from './state.ts'
import { isFinished, isPlaced, placedTasks } from './state.ts'

/** A scale with what there is of it now. */
export type ScaleNow = {
  readonly unit: 'Replicas' | 'Tasks'
  readonly min: number
  readonly max: number
  readonly state: ScaleState
  readonly granted: number
  readonly ready: number
  readonly draining: number
  /** Earliest time of the next change, ms since 1970; 0 = any. */
  readonly notBeforeMs: number
}

/** The scale of a service or an elastic job; undefined for every other. */
export function scaleNow(state: SchedulerState, jobId: string): ScaleNow | undefined {
  const service = state.services.get(jobId)
  if (service !== undefined) return ofService(service)
  const job = state.jobs.get(jobId)
  const elastic = job?.spec.gang.elastic
  if (job?.scale === undefined || elastic === undefined) return undefined
  const { minTasks: min, maxTasks: max } = elastic
  const granted = placedTasks(job)
  const ready = isPlaced(job.phase) ? job.phase.tally.started - job.phase.tally.ended : 0
  const notBeforeMs = isFinished(job.phase) ? 0 : cooldownUntil(job)
  return { unit: 'Tasks', min, max, state: job.scale, granted, ready, draining: 0, notBeforeMs }
}

function ofService(service: Service): ScaleNow {
  const replicas = counted(service)
  return {
    unit: 'Replicas',
    min: service.spec.service?.minReplicas ?? 0,
    max: service.spec.service?.maxReplicas ?? 0,
    state: service.scale,
    granted: replicas.filter(({ phase }) => isPlaced(phase)).length,
    ready: replicas.filter(isReady).length,
    draining: service.replicas.size - replicas.length,
    notBeforeMs: 0,
  }
}

/** The replica that says best why there are not as many as are wanted. */
export function waitingReplica(service: Service): Job | undefined {
  const waits = counted(service).filter(({ phase }) => !isPlaced(phase))
  return waits.find(({ phase }) => phase.at === 'Queued') ?? waits[0]
}
