import { Reason_Code } from '@serverless-ai/contracts/common/v1/common'
import { ServiceDeclared, ServiceEnded } from '@serverless-ai/contracts/events/v1/mediator'
import { JobStateChanged } from '@serverless-ai/contracts/events/v1/scheduler'
import { EVENTS } from '@serverless-ai/contracts/names'
import type { InputSource, PublicEvent } from '@serverless-ai/runtime'
import type { SlaCommand, SlaInput } from '../core/messages.ts'

function fromScheduler(event: PublicEvent): SlaInput | undefined {
  if (event.type !== `${EVENTS}JobStateChanged`) return undefined
  const changed = JobStateChanged.decode(event.payload)
  const { jobId, tenant, queue, name, state, code } = changed
  const isNew = changed.reason?.code === Reason_Code.NOT_YET_EVALUATED && changed.generation === 0
  const job = { jobId, tenant, queue, name, state, code, atMs: Number(changed.atMs) }
  return { type: 'NoteJob', job: { ...job, first: state === 'Queued' && isNew } }
}

function fromMediator(event: PublicEvent): SlaInput | undefined {
  switch (event.type) {
    case `${EVENTS}ServiceDeclared`: {
      const { jobId, name } = ServiceDeclared.decode(event.payload)
      return { type: 'NameService', jobId, name }
    }
    case `${EVENTS}ServiceEnded`:
      return { type: 'ForgetService', jobId: ServiceEnded.decode(event.payload).jobId }
    default:
      return undefined
  }
}

function source(
  service: string,
  toCommand: (event: PublicEvent) => SlaInput | undefined,
): InputSource<SlaCommand> {
  return {
    service,
    toCommand,
    replaced: (events) => ({
      type: 'ReplaceSource',
      source: service,
      commands: events.flatMap((event) => toCommand(event) ?? []),
    }),
  }
}

/** What the SLA monitor listens to, besides the bus of measurements. */
export const inputs: readonly InputSource<SlaCommand>[] = [
  source('mediator', fromMediator),
  source('scheduler', fromScheduler),
]
