import { invariant, unreachable } from '@serverless-ai/kernel'
import type { FaultEvent } from './messages.ts'
import {
  CHECKPOINTS_KEPT,
  DEFAULT_RETRY,
  ENDED_JOBS_KEPT,
  EVIDENCE_MAX,
  emptyGang,
  type FaultState,
  type GangState,
  type Incident,
  type IncidentProgress,
  type JobState,
  newService,
  REPLICAS_KEPT,
  SERVICE_INCIDENTS_KEPT,
} from './model.ts'

/** The job, made with defaults when it is heard of for the first time. */
export function jobOf(state: FaultState, jobId: string): JobState {
  let job = state.jobs.get(jobId)
  if (job === undefined) {
    const fresh: JobState = {
      jobId,
      tenant: '',
      name: '',
      retry: DEFAULT_RETRY,
      described: false,
      ended: false,
      gangs: new Map(),
    }
    state.jobs.set(jobId, fresh)
    job = fresh
  }
  return job
}

function gangOf(job: JobState, gang: number, generation = 0): GangState {
  let state = job.gangs.get(gang)
  if (state === undefined) {
    state = emptyGang()
    job.gangs.set(gang, state)
  }
  if (generation > state.generation) enterGeneration(state, generation)
  return state
}

/** What is kept per generation starts anew; what is kept per gang stays. */
function enterGeneration(gang: GangState, generation: number): void {
  gang.generation = generation
  gang.nodeOfRank = []
  gang.started = new Set()
  gang.ends = new Map()
  gang.progressStep = gang.checkpoints[0]?.step ?? -1
  delete gang.readiness
  delete gang.readyMs
  delete gang.notice
}

function endJob(state: FaultState, jobId: string): void {
  const job = jobOf(state, jobId)
  if (job.ended) return
  job.ended = true
  state.endedJobs.push(jobId)
  while (state.endedJobs.length > ENDED_JOBS_KEPT) {
    const oldest = state.endedJobs.shift()
    if (oldest === undefined) break
    state.jobs.delete(oldest)
    for (const incident of [...state.incidents.values()]) {
      if (incident.jobId === oldest) state.incidents.delete(incident.incidentId)
    }
  }
}

function moveIncident(state: FaultState, incidentId: string, progress: IncidentProgress): void {
  const incident = state.incidents.get(incidentId)
  invariant(incident !== undefined, `incident ${incidentId} moved before it was opened`)
  state.incidents.set(incidentId, { ...incident, progress })
  const gang = gangOf(jobOf(state, incident.jobId), incident.gang)
  if (progress.at === 'Dropped') {
    if (gang.openIncident === incidentId) gang.openIncident = undefined
    return
  }
  if (progress.at !== 'Decided') return
  if (progress.recoveredMs > 0) {
    if (gang.openIncident === incidentId) gang.openIncident = undefined
    return
  }
  gang.restartsCharged = progress.restartsCharged
  gang.plannedInRow = progress.verdict.blame === 'Planned' ? gang.plannedInRow + 1 : 0
  if (progress.verdict.blame === 'User' && progress.decision === 'RECOVER') gang.userRestarts += 1
  gang.recoveredStep = progress.resumedFromStep
  const { service } = jobOf(state, incident.jobId)
  const early = progress.verdict.blame === 'User' && gang.readyMs === undefined
  if (service !== undefined && early) service.startFailures += 1
}

/** A replica that is over is remembered for a while: late news of it are nobody's. */
function forgetReplica({ gangs, service }: JobState, gang: number): void {
  if (service === undefined) return
  service.over.push(gang)
  while (service.over.length > REPLICAS_KEPT) gangs.delete(service.over.shift() ?? -1)
}

function noteReadiness(
  job: JobState,
  gang: GangState,
  { ready, cause }: { ready: boolean; cause: string },
  atMs: number,
): void {
  gang.readiness = { ready, cause }
  if (!ready) return
  gang.readyMs ??= atMs
  if (job.service === undefined) return
  job.service.served = true
  job.service.startFailures = 0
}

/** A service lives as long as it is wanted: only its newest incidents are kept. */
function keepIncidents(state: FaultState, { jobId, incidentId }: Incident): void {
  const { service } = jobOf(state, jobId)
  if (service === undefined) return
  service.incidents.push(incidentId)
  while (service.incidents.length > SERVICE_INCIDENTS_KEPT) {
    const oldest = service.incidents[0] ?? ''
    if (state.incidents.get(oldest)?.progress.at === 'Gathering') return
    service.incidents.shift()
    state.incidents.delete(oldest)
  }
}

/** Another description: what is told of it is that of the service from now on. */
function describeService(job: JobState, startupDeadlineMs: number): void {
  invariant(job.service !== undefined, `${job.jobId} is no service`)
  job.service = { ...job.service, startupDeadlineMs }
}

/** Folds one event. Changes `state` in place. */
export function evolve(state: FaultState, event: FaultEvent, atMs: number): FaultState {
  switch (event.type) {
    case 'JobDescribed': {
      const job = jobOf(state, event.jobId)
      job.tenant = event.tenant
      job.name = event.name
      job.retry = event.retry
      job.described = true
      if (event.startupDeadlineMs !== undefined) job.service = newService(event.startupDeadlineMs)
      return state
    }
    case 'GenerationPlaced': {
      const job = jobOf(state, event.jobId)
      if (job.tenant === '') job.tenant = event.tenant
      const gang = gangOf(job, event.gang, event.generation)
      gang.nodeOfRank = event.nodeOfRank
      gang.placedMs = atMs
      return state
    }
    case 'GenerationsReleased': {
      const job = jobOf(state, event.jobId)
      const gang = gangOf(job, event.gang)
      gang.releasedThrough = Math.max(gang.releasedThrough, event.through)
      delete gang.notice
      if (event.over === true) forgetReplica(job, event.gang)
      return state
    }
    case 'ServiceDescribed':
      describeService(jobOf(state, event.jobId), event.startupDeadlineMs)
      return state
    case 'JobEnded':
      endJob(state, event.jobId)
      return state
    case 'NodeNoted':
      state.nodes.set(event.nodeId, event.node)
      return state
    case 'NodeForgotten':
      state.nodes.delete(event.nodeId)
      return state
    default:
      return evolveGang(state, event, atMs)
  }
}

function evolveGang(
  state: FaultState,
  event: Exclude<
    FaultEvent,
    {
      type:
        | 'JobDescribed'
        | 'ServiceDescribed'
        | 'GenerationPlaced'
        | 'GenerationsReleased'
        | 'JobEnded'
        | 'NodeNoted'
        | 'NodeForgotten'
    }
  >,
  atMs: number,
): FaultState {
  switch (event.type) {
    case 'ReadinessNoted': {
      const job = jobOf(state, event.jobId)
      noteReadiness(job, gangOf(job, event.gang), event, atMs)
      return state
    }
    case 'NoticeNoted':
      gangOf(jobOf(state, event.jobId), event.gang, event.generation).notice = event.notice
      return state
    case 'NoticeSettled':
      delete gangOf(jobOf(state, event.jobId), event.gang).notice
      return state
    case 'TaskStartNoted':
      gangOf(jobOf(state, event.jobId), event.gang, event.generation).started.add(event.rank)
      return state
    case 'TaskEndNoted':
      gangOf(jobOf(state, event.jobId), event.gang, event.generation).ends.set(
        event.end.rank,
        event.end,
      )
      return state
    case 'ProgressNoted': {
      const gang = gangOf(jobOf(state, event.jobId), event.gang, event.generation)
      gang.progressStep = Math.max(gang.progressStep, event.step)
      return state
    }
    case 'CheckpointRegistered': {
      const gang = gangOf(jobOf(state, event.jobId), event.gang, event.checkpoint.generation)
      gang.checkpoints = [event.checkpoint, ...gang.checkpoints].slice(0, CHECKPOINTS_KEPT)
      gang.progressStep = Math.max(gang.progressStep, event.checkpoint.step)
      return state
    }
    case 'IncidentOpened': {
      state.incidents.set(event.incident.incidentId, event.incident)
      const gang = gangOf(jobOf(state, event.incident.jobId), event.incident.gang)
      gang.openIncident = event.incident.incidentId
      keepIncidents(state, event.incident)
      return state
    }
    case 'EvidenceAdded': {
      const incident = state.incidents.get(event.incidentId)
      invariant(incident !== undefined, `evidence for unknown incident ${event.incidentId}`)
      const evidence = [...incident.evidence, ...event.lines].slice(0, EVIDENCE_MAX)
      state.incidents.set(event.incidentId, { ...incident, evidence })
      return state
    }
    case 'IncidentMoved':
      moveIncident(state, event.incidentId, event.progress)
      return state
    default:
      return unreachable(event)
  }
}
