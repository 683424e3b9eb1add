import type { EffectRequest, TimerRequest } from '@serverless-ai/kernel'
import type { FaultEvent } from './messages.ts'
import type {
  FaultState,
  GangState,
  Incident,
  IncidentProgress,
  JobState,
  ServiceState,
  Verdict,
} from './model.ts'
import { judge } from './verdict.ts'

/**
 * Evidence of one failure comes in for this long before it is judged: the first end seen is seldom
 * the cause.
 */
export const EVIDENCE_WINDOW_MS = 2_000
/** After a node came back or was declared lost its tasks' reports need a moment. */
export const NODE_SETTLE_MS = 300
/** Longest back-off between two generations. */
const BACKOFF_MAX_MS = 60_000
/**
 * Planned restarts in a row, without a new checkpoint between them, after which they are charged
 * like failures.
 */
const PLANNED_IN_ROW_MAX = 20

/** Effects, events and timers of a judgement. */
export type Judgement = {
  readonly events: readonly FaultEvent[]
  readonly effects?: readonly EffectRequest[]
  readonly timers?: readonly TimerRequest[]
}

type Decided = Extract<IncidentProgress, { at: 'Decided' }>

/** Key of the timer that judges an incident. */
export const judgeTimer = (incidentId: string): string => `judge:${incidentId}`

/**
 * Nodes of the gang that are away and whose tasks have not reported an end: their evidence is
 * missing.
 */
function nodesAwaited(state: FaultState, gang: GangState): readonly string[] {
  const silent = gang.nodeOfRank.filter((_, rank) => !gang.ends.has(rank))
  return [...new Set(silent)].filter((id) => state.nodes.get(id)?.state === 'Disconnected').sort()
}

/** A replica that was ready for so long has a fresh budget and a short back-off again. */
const STEADY_MS = 60_000

function chargeReplica(gang: GangState, verdict: Verdict, atMs: number) {
  const steady = gang.readyMs !== undefined && atMs - gang.readyMs >= STEADY_MS
  const before = steady ? 0 : gang.restartsCharged
  const charged = verdict.blame !== 'Planned' || gang.plannedInRow >= PLANNED_IN_ROW_MAX
  return { charged, restarts: charged ? before + 1 : before }
}

/**
 * A replica that fails is placed again, as long as it takes: other replicas serve meanwhile, and
 * what it needs may come back. Only a service that never served is given up, when as many of its
 * replicas as its retry budget allows have failed by themselves before they were ready.
 */
function mayReplace(service: ServiceState, job: JobState, verdict: Verdict): boolean {
  if (service.served || verdict.blame !== 'User') return true
  return service.startFailures < job.retry.restartsMax
}

function charge(gang: GangState, verdict: Verdict): { charged: boolean; restarts: number } {
  const step = gang.checkpoints[0]?.step ?? -1
  // Progress refills the budget: it bounds failures without progress, not failures in a long life.
  const before = step > gang.recoveredStep ? 0 : gang.restartsCharged
  const charged = verdict.blame !== 'Planned' || gang.plannedInRow >= PLANNED_IN_ROW_MAX
  return { charged, restarts: charged ? before + 1 : before }
}

function mayRestart(job: JobState, gang: GangState, verdict: Verdict, restarts: number): boolean {
  if (verdict.blame === 'Planned' && restarts <= job.retry.restartsMax) return true
  if (restarts > job.retry.restartsMax) return false
  return verdict.blame !== 'User' || gang.userRestarts < job.retry.userRestartsMax
}

function backoffMs(job: JobState, verdict: Verdict, restarts: number): number {
  if (verdict.blame === 'Planned') return 0
  let backoff = job.retry.backoffMs
  for (let nth = 1; nth < restarts && backoff < BACKOFF_MAX_MS; nth++) backoff *= 2
  return Math.min(BACKOFF_MAX_MS, backoff)
}

function decided(
  of: { readonly job: JobState; readonly gang: GangState; readonly incident: Incident },
  verdict: Verdict,
  atMs: number,
): Decided {
  const { job, gang, incident } = of
  const { charged, restarts } =
    job.service === undefined ? charge(gang, verdict) : chargeReplica(gang, verdict, atMs)
  const checkpoint = gang.checkpoints[0]
  const resumed = checkpoint?.step ?? 0
  const since = checkpoint?.registeredMs ?? gang.placedMs
  return {
    at: 'Decided',
    decision: 'RECOVER',
    decidedMs: atMs,
    verdict,
    charged,
    restartsCharged: restarts,
    resumedFromStep: resumed,
    stepsLost: Math.max(0, gang.progressStep - resumed),
    workLostMs: Math.max(0, incident.occurredMs - since),
    recoveredMs: 0,
  }
}

/** Decides an incident whose evidence is complete: the next generation, or the end of the job. */
export function decideIncident(state: FaultState, incident: Incident, atMs: number): Judgement {
  const job = state.jobs.get(incident.jobId)
  const gang = job?.gangs.get(incident.gang)
  if (job === undefined || gang === undefined) return { events: [] }
  const awaited = nodesAwaited(state, gang)
  if (awaited.length > 0) {
    const line = `waiting for ${awaited.join(', ')}: disconnected, not yet lost`
    if (incident.evidence.includes(line)) return { events: [] }
    return { events: [{ type: 'EvidenceAdded', incidentId: incident.incidentId, lines: [line] }] }
  }
  const { service } = job
  const verdict = judge([...gang.ends.values()], service !== undefined)
  const plan = decided({ job, gang, incident }, verdict, atMs)
  const restart =
    service === undefined
      ? mayRestart(job, gang, verdict, plan.restartsCharged)
      : mayReplace(service, job, verdict)
  // A job that is given up gets no restart: nothing is charged for one.
  const progress: Decided = restart
    ? plan
    : { ...plan, decision: 'GIVE_UP', charged: false, restartsCharged: gang.restartsCharged }
  const moved: FaultEvent = { type: 'IncidentMoved', incidentId: incident.incidentId, progress }
  const effect = restart
    ? recoverEffect({ job, gang, incident, progress, atMs })
    : giveUpEffect(job, incident, progress)
  return { events: [moved], effects: [effect] }
}

function recoverEffect(init: {
  job: JobState
  gang: GangState
  incident: Incident
  progress: Decided
  atMs: number
}): EffectRequest {
  const { job, gang, incident, progress, atMs } = init
  const backoff = backoffMs(job, progress.verdict, progress.restartsCharged)
  return {
    key: `recover:${incident.jobId}:${incident.gang}:${incident.generation}`,
    kind: 'Recover',
    payload: {
      jobId: incident.jobId,
      gang: incident.gang,
      expectedGeneration: incident.generation,
      incidentId: incident.incidentId,
      checkpointPath: gang.checkpoints[0]?.path ?? '',
      checkpointStep: gang.checkpoints[0]?.step ?? 0,
      notBeforeMs: backoff === 0 ? 0 : atMs + backoff,
      avoidNodes: [...progress.verdict.avoidNodes],
      cause: `${progress.verdict.cause}: ${progress.verdict.summary}`,
      restartsCharged: progress.restartsCharged,
    },
  }
}

function giveUpEffect(job: JobState, incident: Incident, progress: Decided): EffectRequest {
  const user = progress.verdict.blame === 'User'
  const start =
    job.service === undefined ? '' : `; ${job.retry.restartsMax} restarts before it was ready`
  const spent = user ? start : ` (${job.retry.restartsMax} restarts without progress used)`
  return {
    key: `giveup:${incident.jobId}:${incident.gang}:${incident.generation}`,
    kind: 'GiveUp',
    payload: {
      jobId: incident.jobId,
      gang: incident.gang,
      expectedGeneration: incident.generation,
      incidentId: incident.incidentId,
      cause: `${progress.verdict.cause}: ${progress.verdict.summary}${spent}`,
      code: user
        ? job.service === undefined
          ? 'USER_ERROR'
          : 'START_UP_FAILED'
        : 'RETRY_BUDGET_SPENT',
    },
  }
}
