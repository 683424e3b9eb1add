import { JobSubmitted, LaunchPrepared } from '@serverless-ai/contracts/events/v1/mediator'
import { EVENTS } from '@serverless-ai/contracts/names'
import type { PublicDraft } from '@serverless-ai/runtime'
import { torchrunContract } from '../core/launch/torchrun.ts'
import type { MediatorEvent } from '../core/messages.ts'
import { isFinished, type JobRecord, type MediatorState, type Placement } from '../core/model.ts'

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
    startupDeadlineMs: 0n,
  }
  return draft(job, 'JobSubmitted', JobSubmitted.encode(message).finish())
}

function launch(job: JobRecord, placement: Placement): PublicDraft {
  const { spec } = job
  // A placement is recorded, the contract follows from it: 16,384 environments stay out of the log.
  const contract = torchrunContract(job, placement)
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
    readiness: undefined,
  }
  return draft(job, 'LaunchPrepared', LaunchPrepared.encode(message).finish())
}

/** Public events of a domain event; `state` is the state after it. */
export function publish(event: MediatorEvent, state: MediatorState): readonly PublicDraft[] {
  if (event.type !== 'JobEnqueued' && event.type !== 'LaunchPrepared') return []
  const job = state.jobs.get(event.jobId)
  if (job === undefined) return []
  // A job is told to others when it is certain that it was not refused.
  return event.type === 'JobEnqueued' ? [submitted(job)] : [launch(job, event.placement)]
}

/** What an empty consumer must see: open jobs and their current launch contracts. */
export function* snapshotFeed(state: MediatorState): Iterable<PublicDraft> {
  for (const job of state.jobs.values()) {
    if (!job.enqueued || isFinished(job.state)) continue
    yield submitted(job)
    if (job.placement !== null) yield launch(job, job.placement)
  }
}
