import { ServiceDeclared, ServiceEnded } from '@serverless-ai/contracts/events/v1/mediator'
import { JobStateChanged } from '@serverless-ai/contracts/events/v1/scheduler'
import { EVENTS } from '@serverless-ai/contracts/names'
import { Scale_Unit } from '@serverless-ai/contracts/schedule/v1/schedule'
import { type InputSource, type PublicEvent, replacingSource } from '@serverless-ai/runtime'
import type { SlaCommand, SlaInput } from '../core/messages.ts'

function fromScheduler(event: PublicEvent): SlaInput | undefined {
  if (event.type !== `${EVENTS}JobStateChanged`) return undefined
  const changed = JobStateChanged.decode(event.payload)
  const { jobId, tenant, queue, name, state, code } = changed
  const [atMs, queuedMs] = [Number(changed.atMs), Number(changed.queuedMs)]
  const serves = changed.scale?.unit === Scale_Unit.REPLICAS
  const job = { jobId, tenant, queue, name, serves, state, code, atMs, queuedMs }
  return { type: 'NoteJob', job }
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

/** What the SLA monitor listens to, besides the bus of measurements. */
export const inputs: readonly InputSource<SlaCommand>[] = [
  replacingSource('mediator', fromMediator),
  replacingSource('scheduler', fromScheduler),
]
