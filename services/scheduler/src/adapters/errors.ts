import {
  type RefusalDetails as Details,
  type RefusalSentences,
  refusalErrors,
} from '@serverless-ai/rpc'
import type { Reason } from '../core/types.ts'
import { reasonSentence } from './sentence.ts'

const outOfRange = ({ field, value, min, max }: Details) =>
  min === undefined ? `${field} is not valid` : `${field} is ${value}; it is ${min} to ${max}`

const fromReason = (details: Details) => reasonSentence(details['reason'] as Reason)

/** What the scheduler says with each of its reasons; their codes are in the catalogue. */
const SENTENCES = {
  EXCEEDS_QUEUE_MAX: fromReason,
  FEATURE_NOT_ENABLED: ({ level }) =>
    `services and elastic jobs need feature level ${level}: sai admin level raise ${level}`,
  GANG_NOT_FOUND: ({ jobId, gang }) => `job ${jobId} has no gang ${gang}`,
  INVALID_QUEUE: outOfRange,
  INVALID_SPEC: outOfRange,
  JOB_FINISHED: ({ jobId, state }) => `job ${jobId} is ${state} already`,
  JOB_NOT_FOUND: ({ jobId }) => `no job ${jobId}`,
  NO_MATCHING_NODE: (details) => {
    const { asked, known } = details
    const models = asked === '' ? '' : `; models asked for: ${asked}; models known: ${known}`
    return `${fromReason(details)}${models}`
  },
  NOT_SCALABLE: ({ jobId }) => `job ${jobId} is neither an Inference job nor elastic`,
  NOT_UPDATABLE: ({ jobId }) => `job ${jobId} is no Inference job`,
  QUEUE_EXISTS: ({ queue }) => `queue ${queue} exists already`,
  RESIZE_COOLDOWN: ({ jobId, untilMs }) =>
    `the size of job ${jobId} was changed a short time ago; the next change is possible from ` +
    `${new Date(Number(untilMs)).toISOString()}`,
  SCALE_OUT_OF_RANGE: ({ jobId, wanted, min, max }) =>
    `job ${jobId} has ${min} to ${max}, not ${wanted}`,
  SCALE_OWNED: ({ jobId, owner }) => `${owner} decides about the scale of job ${jobId}`,
  STALE_GENERATION: ({ jobId, expected, current }) =>
    `generation ${expected} of job ${jobId} was meant, ${current} is current`,
  STALE_SCALE: ({ jobId, expected, current }) =>
    `version ${expected} of the scale of job ${jobId} was meant, ${current} is current`,
  TOO_MANY_DEVICES: ({ nodeId, max }) => `${nodeId} has more than ${max}`,
  TOO_MANY_JOBS: ({ max }) => `the cell has ${max} unfinished jobs`,
  TOO_MANY_NODES: ({ max }) => `the cell knows ${max} nodes`,
  TOO_MANY_QUEUES: ({ max }) => `the cell has ${max} queues`,
  UNKNOWN_QUEUE: ({ queue, tenant }) => `tenant ${tenant} has no queue ${JSON.stringify(queue)}`,
} as const satisfies RefusalSentences

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

/** The error of a refusal by the core or the runtime. */
export const errorOf = refusalErrors(SENTENCES, flatten)
