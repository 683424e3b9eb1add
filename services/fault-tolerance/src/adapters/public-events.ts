import { encodeMessage } from '@serverless-ai/contracts/encode'
import {
  CheckpointRegistered,
  IncidentChanged,
} from '@serverless-ai/contracts/events/v1/fault_tolerance'
import { EVENTS } from '@serverless-ai/contracts/names'
import type { PublicDraft } from '@serverless-ai/runtime'
import type { FaultEvent } from '../core/messages.ts'
import type { Checkpoint, FaultState } from '../core/model.ts'
import { checkpointToProto, incidentToProto } from './to-proto.ts'

function incidentDraft(incidentId: string, state: FaultState): PublicDraft[] {
  const incident = state.incidents.get(incidentId)
  if (incident === undefined) return []
  const proto = incidentToProto(incident, state)
  return [
    {
      type: `${EVENTS}IncidentChanged`,
      key: incident.jobId,
      tenant: proto.tenant,
      payload: encodeMessage(IncidentChanged, { incident: proto }),
    },
  ]
}

function checkpointDraft(jobId: string, checkpoint: Checkpoint, state: FaultState): PublicDraft {
  const tenant = state.jobs.get(jobId)?.tenant ?? ''
  const payload = encodeMessage(CheckpointRegistered, {
    checkpoint: checkpointToProto(jobId, checkpoint),
    tenant,
  })
  return { type: `${EVENTS}CheckpointRegistered`, key: jobId, tenant, payload }
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
