import {
  CheckpointRegistered,
  IncidentChanged,
} from '@serverless-ai/contracts/events/v1/fault_tolerance'
import {
  Incident_Blame,
  type Incident as IncidentProto,
  type RegisteredCheckpoint,
} from '@serverless-ai/contracts/recovery/v1/recovery'
import type { PublicDraft } from '@serverless-ai/runtime'
import type { FaultEvent } from '../core/messages.ts'
import type { Blame, Checkpoint, FaultState, Incident } from '../core/model.ts'

const BLAME: Record<Blame, IncidentProto['blame']> = {
  Infrastructure: Incident_Blame.INFRASTRUCTURE,
  User: Incident_Blame.USER,
  Planned: Incident_Blame.PLANNED,
}

/** An incident as the public contract shows it. */
export function incidentToProto(incident: Incident, state: FaultState): IncidentProto {
  const job = state.jobs.get(incident.jobId)
  const decided = incident.progress.at === 'Decided' ? incident.progress : undefined
  return {
    incidentId: incident.incidentId,
    jobId: incident.jobId,
    tenant: incident.tenant === '' ? (job?.tenant ?? '') : incident.tenant,
    gang: incident.gang,
    generation: incident.generation,
    blame: decided === undefined ? Incident_Blame.UNSPECIFIED : BLAME[decided.verdict.blame],
    cause: decided?.verdict.cause ?? '',
    evidence: incident.evidence,
    occurredMs: BigInt(Math.trunc(incident.occurredMs)),
    detectedMs: BigInt(incident.detectedMs),
    recoveredMs: BigInt(decided?.recoveredMs ?? 0),
    stepsLost: BigInt(decided?.stepsLost ?? 0),
    workLostSeconds: (decided?.workLostMs ?? 0) / 1_000,
    resumedFromStep: BigInt(decided?.resumedFromStep ?? 0),
    charged: decided?.charged ?? false,
    restartsCharged: decided?.restartsCharged ?? 0,
    restartsMax: job?.retry.restartsMax ?? 0,
    decision: decided?.decision ?? (incident.progress.at === 'Dropped' ? 'DROPPED' : ''),
  }
}

/** A checkpoint as the public contract shows it. */
export function checkpointToProto(jobId: string, checkpoint: Checkpoint): RegisteredCheckpoint {
  return {
    jobId,
    generation: checkpoint.generation,
    step: BigInt(checkpoint.step),
    path: checkpoint.path,
    bytes: BigInt(checkpoint.bytes),
    digest: checkpoint.digest,
    registeredMs: BigInt(checkpoint.registeredMs),
  }
}

function incidentDraft(incidentId: string, state: FaultState): PublicDraft[] {
  const incident = state.incidents.get(incidentId)
  if (incident === undefined) return []
  const proto = incidentToProto(incident, state)
  return [
    {
      type: 'serverlessai.events.v1.IncidentChanged',
      key: incident.jobId,
      tenant: proto.tenant,
      payload: IncidentChanged.encode({ incident: proto }).finish(),
    },
  ]
}

function checkpointDraft(jobId: string, checkpoint: Checkpoint, state: FaultState): PublicDraft {
  const tenant = state.jobs.get(jobId)?.tenant ?? ''
  const payload = CheckpointRegistered.encode({
    checkpoint: checkpointToProto(jobId, checkpoint),
    tenant,
  }).finish()
  return { type: 'serverlessai.events.v1.CheckpointRegistered', key: jobId, tenant, payload }
}

/** Public events of a domain event. */
export function publish(event: FaultEvent, state: FaultState): readonly PublicDraft[] {
  switch (event.type) {
    case 'IncidentOpened':
      return incidentDraft(event.incident.incidentId, state)
    case 'IncidentMoved':
      return incidentDraft(event.incidentId, state)
    case 'CheckpointRegistered':
      return [checkpointDraft(event.jobId, event.checkpoint, state)]
    default:
      return []
  }
}

/** The present state as public events. */
export function* snapshotFeed(state: FaultState): Iterable<PublicDraft> {
  for (const incidentId of state.incidents.keys()) yield* incidentDraft(incidentId, state)
  for (const job of state.jobs.values()) {
    for (const gang of job.gangs.values()) {
      const latest = gang.checkpoints[0]
      if (latest !== undefined) yield checkpointDraft(job.jobId, latest, state)
    }
  }
}
