import { type Json, type Refusal, type RpcCode, RpcError } from '@serverless-ai/kernel'
import type { Reason } from '../core/types.ts'
import { reasonSentence } from './sentence.ts'

type Details = Readonly<Record<string, Json>>

/** Every reason with which the core refuses. */
export type SchedulerRefusal =
  | 'EXCEEDS_QUEUE_MAX'
  | 'GANG_NOT_FOUND'
  | 'INVALID_QUEUE'
  | 'INVALID_SPEC'
  | 'JOB_FINISHED'
  | 'JOB_NOT_FOUND'
  | 'NO_MATCHING_NODE'
  | 'QUEUE_EXISTS'
  | 'STALE_GENERATION'
  | 'TOO_MANY_DEVICES'
  | 'TOO_MANY_JOBS'
  | 'TOO_MANY_NODES'
  | 'TOO_MANY_QUEUES'
  | 'UNKNOWN_QUEUE'

const outOfRange = ({ field, value, min, max }: Details) =>
  min === undefined ? `${field} is not valid` : `${field} is ${value}; it is ${min} to ${max}`

const fromReason = (details: Details) => reasonSentence(details['reason'] as Reason)

const TABLE: Readonly<Record<SchedulerRefusal, readonly [RpcCode, (d: Details) => string]>> = {
  EXCEEDS_QUEUE_MAX: ['FAILED_PRECONDITION', fromReason],
  GANG_NOT_FOUND: ['NOT_FOUND', ({ jobId, gang }) => `job ${jobId} has no gang ${gang}`],
  INVALID_QUEUE: ['INVALID_ARGUMENT', outOfRange],
  INVALID_SPEC: ['INVALID_ARGUMENT', outOfRange],
  JOB_FINISHED: ['FAILED_PRECONDITION', ({ jobId, state }) => `job ${jobId} is ${state} already`],
  JOB_NOT_FOUND: ['NOT_FOUND', ({ jobId }) => `no job ${jobId}`],
  NO_MATCHING_NODE: [
    'FAILED_PRECONDITION',
    (details) => {
      const { asked, known } = details
      const models = asked === '' ? '' : `; models asked for: ${asked}; models known: ${known}`
      return `${fromReason(details)}${models}`
    },
  ],
  QUEUE_EXISTS: ['ALREADY_EXISTS', ({ queue }) => `queue ${queue} exists already`],
  STALE_GENERATION: [
    'FAILED_PRECONDITION',
    ({ jobId, expected, current }) =>
      `generation ${expected} of job ${jobId} was meant, ${current} is current`,
  ],
  TOO_MANY_DEVICES: ['RESOURCE_EXHAUSTED', ({ nodeId, max }) => `${nodeId} has more than ${max}`],
  TOO_MANY_JOBS: ['RESOURCE_EXHAUSTED', ({ max }) => `the cell has ${max} unfinished jobs`],
  TOO_MANY_NODES: ['RESOURCE_EXHAUSTED', ({ max }) => `the cell knows ${max} nodes`],
  TOO_MANY_QUEUES: ['RESOURCE_EXHAUSTED', ({ max }) => `the cell has ${max} queues`],
  UNKNOWN_QUEUE: [
    'NOT_FOUND',
    ({ queue, tenant }) => `tenant ${tenant} has no queue ${JSON.stringify(queue)}`,
  ],
}

const isKnown = (reason: string): reason is SchedulerRefusal => Object.hasOwn(TABLE, reason)

/** The error of a refusal: sentence and numbers from its details. */
export function errorOf(refusal: Refusal): RpcError {
  const { reason } = refusal
  const details = refusal.details ?? {}
  const metadata = flatten(details)
  if (!isKnown(reason)) {
    // Refusals of the runtime itself (request ids, size of the commit).
    const code = RUNTIME_CODES[reason] ?? 'INTERNAL'
    return new RpcError({ code, reason, message: reason, metadata })
  }
  const [code, sentence] = TABLE[reason]
  const { field } = details
  const message = sentence(details)
  const violations =
    code === 'INVALID_ARGUMENT' && typeof field === 'string'
      ? [{ field, description: message }]
      : []
  return new RpcError({ code, reason, message, metadata, violations })
}

const RUNTIME_CODES: Readonly<Record<string, RpcCode>> = {
  COMMAND_TOO_LARGE: 'RESOURCE_EXHAUSTED',
  REQUEST_FROM_FUTURE: 'INVALID_ARGUMENT',
  REQUEST_ID_INVALID: 'INVALID_ARGUMENT',
  REQUEST_ID_REUSED: 'ALREADY_EXISTS',
  REQUEST_TOO_OLD: 'FAILED_PRECONDITION',
}

/** Nested details as flat names: `reason.shortfalls` → `devices.want`, `devices.free`, … */
function flatten(details: Details): Record<string, string> {
  const flat: Record<string, string> = {}
  for (const [name, value] of Object.entries(details)) {
    if (name !== 'reason') flat[name] = typeof value === 'string' ? value : JSON.stringify(value)
    else {
      for (const short of (value as Reason).shortfalls) {
        const dimension = short.perTask ? `${short.dimension}PerTask` : short.dimension
        flat[`${dimension}.want`] = String(short.want)
        flat[`${dimension}.free`] = String(short.free)
        flat[`${dimension}.total`] = String(short.total)
      }
    }
  }
  return flat
}
