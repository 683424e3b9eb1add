import {
  Incident_Blame,
  type Incident as IncidentProto,
  type RegisteredCheckpoint,
} from '@serverless-ai/contracts/recovery/v1/recovery'
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
