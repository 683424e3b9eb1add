import {
  type ServiceUpdate,
  ServiceUpdate_State,
  type UpdateRequest,
} from '@serverless-ai/contracts/schedule/v1/schedule'
import type { Update } from '../core/model.ts'
import type { UpdateOrder } from '../core/updates.ts'

/** An update as the scheduler told it. */
export function updateFromProto(proto: ServiceUpdate): Update {
  const { revision, fromRevision, updated, outdated, cause, code, state } = proto
  const ended = state === ServiceUpdate_State.STALLED ? 'Stalled' : 'Done'
  return {
    number: Number(proto.number),
    ...{ revision, fromRevision, updated, outdated, cause, code },
    state: state === ServiceUpdate_State.ROLLING ? 'Rolling' : ended,
    startedMs: Number(proto.startedMs),
    changedMs: Number(proto.changedMs),
  }
}

const STATES: Readonly<Record<Update['state'], ServiceUpdate['state']>> = {
  Rolling: ServiceUpdate_State.ROLLING,
  Stalled: ServiceUpdate_State.STALLED,
  Done: ServiceUpdate_State.DONE,
}

/** An update for those who ask for the job. */
export function updateToProto(update: Update): ServiceUpdate {
  const { number, state, startedMs, changedMs, ...same } = update
  return {
    ...same,
    number: BigInt(number),
    state: STATES[state],
    startedMs: BigInt(startedMs),
    changedMs: BigInt(changedMs),
  }
}

/** What the scheduler is told of an update. */
export function updateRequest(order: UpdateOrder): UpdateRequest {
  const { number, drainMs, startupDeadlineMs, ...same } = order
  return {
    ...same,
    number: BigInt(number),
    drainMs: BigInt(drainMs),
    startupDeadlineMs: BigInt(startupDeadlineMs),
  }
}
