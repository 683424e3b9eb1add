/** The log as a person would tell it. */
import { Commit_Kind, decodeRecord } from '@serverless-ai/eventlog'
import { ownerOfLog } from './check/names.ts'
import type { Observation } from './check/types.ts'
import type { Landed, Trace } from './world/types.ts'

/** Fields of an event that say who and what, in this order, where it has them. */
const TELLING = ['jobId', 'gang', 'generation', 'rank', 'nodeId', 'state', 'cause', 'name'] as const
const TEXT_MAX = 300

function eventText(type: string, data: string): string {
  const json: Readonly<Record<string, unknown>> = JSON.parse(data)
  const facts = TELLING.flatMap((name) => {
    const value = json[name]
    return typeof value === 'string' || typeof value === 'number' ? [`${name} ${value}`] : []
  })
  return facts.length === 0 ? type : `${type} (${facts.join(', ')})`
}

/** A record of a service's log in one line. */
export function recordText(service: string, { position, value }: Landed): string {
  const { body } = decodeRecord(value)
  const at = `${service} log ${position}`
  if (body?.$case === 'claim') {
    return `${at}: ${body.value.replica} claims epoch ${body.value.epoch}`
  }
  if (body?.$case !== 'commit') return `${at}: void`
  const { epoch, sequence, kind, events, answers, runtime, inputs } = body.value
  const number = `${at}: epoch ${epoch} #${sequence}`
  if (kind === Commit_Kind.TICK) return `${number} tick`
  if (kind === Commit_Kind.YIELD) return `${number} yield`
  const parts = [
    ...events.map(({ type, data }) => eventText(type, data)),
    ...runtime.map(({ type }) => type),
    ...(answers.length > 0 ? [`${answers.length} answers`] : []),
    ...inputs.map(({ source, seq }) => `${source} to ${seq}`),
  ]
  const text = `${number} ${parts.join(', ')}`
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)} …` : text
}

/** What an observation says in one line; undefined where the log says it already. */
export function observationText(observation: Observation): string | undefined {
  switch (observation.kind) {
    case 'task-started':
    case 'task-ended': {
      const { jobId, gang, generation, rank } = observation.key
      const task = `${jobId}/${gang} generation ${generation} rank ${rank}`
      return observation.kind === 'task-started'
        ? `${task} really starts on devices ${observation.devices.join(',')}`
        : `${task} really ends: ${observation.cause}`
    }
    case 'answered': {
      const { call, jobId, ok, reason, requestId } = observation
      return `${call} ${jobId} is answered ${ok ? 'yes' : `no, ${reason}`} (request ${requestId})`
    }
    case 'leading': {
      const { service, epoch, leads } = observation
      return leads ? `leads ${service}, epoch ${epoch}` : `leads ${service} no more`
    }
    default:
      return undefined
  }
}

const whoOf = (observation: Observation): string => {
  if (observation.kind === 'leading') return observation.process
  if (observation.kind === 'answered') return 'users'
  return 'node' in observation ? observation.node : ''
}

/** Notes what lands in the log and what is observed, for the trace. */
export class RecordStory {
  readonly #trace: Trace

  constructor(trace: Trace) {
    this.#trace = trace
  }

  landed(record: Landed): void {
    const service = ownerOfLog(record.topic)
    if (service === undefined) return
    this.#trace.note('log', '', () => recordText(service, record))
  }

  observed(observation: Observation): void {
    const { kind } = observation
    if (kind === 'landed' || kind === 'digest' || kind === 'fault' || kind === 'settled') return
    const facts = kind === 'read' ? 'read' : `${kind} ${observation.atMs}`
    const text = observationText(observation)
    if (text !== undefined) this.#trace.note(whoOf(observation), facts, () => text)
  }
}
