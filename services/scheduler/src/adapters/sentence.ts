import { counted, isReady, revisionOf } from '../core/services.ts'
import type { Job, Service } from '../core/state.ts'
import type { Dimension, Reason, Shortfall } from '../core/types.ts'

const UNITS: Readonly<Record<Dimension, string>> = {
  devices: 'devices',
  cpuMillis: 'thousandths of a core',
  memoryMib: 'MiB of memory',
  tasks: 'tasks',
  ports: 'ports',
}

/** One line for people: what falls short. */
function shortfall(short: Shortfall): string {
  const unit = UNITS[short.dimension]
  const where = short.nodeId === '' ? '' : ` on ${short.nodeId}`
  const each = short.perTask ? ' per task' : ''
  return `${short.want} ${unit}${each} wanted, ${short.free} of ${short.total} free${where}`
}

/** What is short even when nothing else runs: what is free now does not matter. */
function limit(short: Shortfall, owner: string): string {
  const { dimension, want, total, perTask } = short
  if (dimension === 'tasks') return `room for ${total} of ${want} tasks even when nothing else runs`
  const unit = UNITS[dimension]
  return perTask
    ? `${want} ${unit} per task wanted, the largest node has ${total}`
    : `${want} ${unit} wanted, ${owner} ${total}`
}

/** One line for people: why a job waits. */
export function reasonSentence(reason: Reason): string {
  const numbers = reason.shortfalls.map(shortfall).join('; ')
  const limits = (owner: string) => reason.shortfalls.map((short) => limit(short, owner)).join('; ')
  switch (reason.code) {
    case 'NOT_YET_EVALUATED':
      return 'waits to be looked at'
    case 'EXCEEDS_QUEUE_MAX':
      return `the gang alone is above the maximum of its queue: ${limits('the queue may hold')}`
    case 'NO_MATCHING_NODE':
      return `the fleet as it is can never hold it: ${limits('the fleet has')}`
    case 'QUOTA_WAIT':
      return `the maximum of the queue is used up: ${numbers}`
    case 'CAPACITY_WAIT':
      if (reason.nodesTotal === 0) return 'waits for nodes: none has registered yet'
      return `waits for capacity: ${numbers}`
    case 'GANG_INCOMPLETE':
      return `only a part of the gang would fit: ${numbers}`
    case 'DEPENDENCY_WAIT':
      return `waits until its previous generation is certainly gone: ${numbers}`
    case 'BACKOFF':
      return 'waits for the end of its back-off after a failure'
  }
}

/** What there is to say of its update; empty = nothing. */
function updateSentence(service: Service): string {
  const { update } = service
  if (update === undefined || update.at === 'Done') return ''
  const { revision, cause } = update
  if (update.at === 'Stalled') return `UPDATE_STALLED: ${cause}`
  const present = counted(service)
  const fresh = present.filter((job) => revisionOf(job) === revision)
  const left = present.length - fresh.length
  const ready = fresh.filter(isReady).length
  return `updating to revision ${revision}: ${ready} new ready, ${left} old left`
}

/** One line for people about the state of a service; empty = nothing to say. */
export function serviceSentence(service: Service, reason: Reason | undefined): string {
  const { end, scale } = service
  if (end?.at === 'Failed') return end.cause
  if (end?.at === 'Cancelled') return end.by === '' ? '' : `cancelled by ${end.by}`
  const replicas = counted(service)
  const ready = replicas.filter(isReady).length
  const updated = updateSentence(service)
  const before = updated === '' ? '' : `${updated}; `
  if (scale.wanted === 0) return `${before}scaled to zero`
  if (ready >= scale.wanted && reason === undefined) return updated
  const told = `${before}${ready} of ${scale.wanted} replicas ready`
  const cause = replicas.find(({ phase }) => phase.at === 'Recovering')?.phase
  const why = cause?.at === 'Recovering' ? `; ${cause.cause}` : ''
  return `${told}${why}${reason === undefined ? '' : `; ${reasonSentence(reason)}`}`
}

/** One line for people about the state of a job; empty = nothing to say. */
export function jobSentence(job: Job, reason: Reason | undefined): string {
  const { phase } = job
  switch (phase.at) {
    case 'Queued':
      return reason === undefined ? '' : reasonSentence(reason)
    case 'Admitted':
    case 'Starting':
    case 'Running':
      if (job.notice === undefined) return ''
      return `waits for a checkpoint, then goes on with ${job.notice.tasks} tasks`
    case 'Recovering':
      return `${phase.cause}; ${reasonSentence(phase.reason)}`
    case 'Failed':
      return phase.cause
    case 'Cancelled':
      return phase.by === '' ? '' : `cancelled by ${phase.by}`
    default:
      return ''
  }
}
