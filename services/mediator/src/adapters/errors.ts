import { type FieldViolation, type Refusal, RpcError } from '@serverless-ai/kernel'
import { isAway, type RefusalReason, refusalToError, rpcError } from '@serverless-ai/rpc'

type Details = Readonly<Record<string, string | number>>
/** One line for people: what, and how to mend it. */
type Sentence = (details: Details) => string

/**
 * What the mediator says with each of its reasons; their codes are in the catalogue. The
 * scheduler's refusals are passed on as they are.
 */
const SENTENCES = {
  CLASS_UNKNOWN: ({ class: named, known }) =>
    `spec.serve.class: there is no class "${named}" of requests; there are ${known}`,
  INVALID_SPEC: ({ file, count, first }) =>
    `${file} cannot be used (${count === 1 ? 'one problem' : `${count} problems`}): ${first}`,
  FEATURE_NOT_ENABLED: ({ level }) =>
    `Inference and elastic jobs need feature level ${level}: sai admin level raise ${level}`,
  JOB_FINISHED: ({ jobId, state }) => `job ${jobId} is ${state} already`,
  JOB_NOT_FOUND: ({ jobId }) => `there is no job ${jobId} for this caller`,
  MODEL_NOT_FOUND: ({ job }) =>
    `no checkpoint of a job ${job} is known here: wait until it has written one`,
  NOT_UPDATABLE: ({ jobId, fields }) =>
    fields === 'type'
      ? `job ${jobId} is no Inference job`
      : `an update of job ${jobId} leaves ${fields} as it is: submit another job for that`,
  OBJECTIVE_NOT_FOUND: ({ objective, tenant, known }) =>
    `spec.serve.objectives: tenant ${tenant} has no objective "${objective}"; ` +
    `there ${known === '' ? 'is none' : `are ${known}`}. ` +
    `Declare it first (sai slo create ${objective} …), or leave it out`,
  REVISION_NOT_FOUND: ({ jobId, revision, kept }) =>
    `revision ${revision} of job ${jobId} is not kept; there are ${kept}`,
  SERVICE_EXISTS: ({ name, jobId }) =>
    `the service ${name} is there already (job ${jobId}): cancel it, or choose another name`,
  TOO_MANY_JOBS: ({ open, max }) =>
    `${open} jobs have not finished; this cell takes ${max} at once`,
  TENANT_REQUIRED: () => 'an administrator submits for a tenant: name it in the field tenant',
  TENANT_NOT_YOURS: ({ tenant }) =>
    `this token belongs to the tenant ${tenant}: leave tenant empty`,
  ENQUEUE_PENDING: ({ jobId }) =>
    `job ${jobId} was taken, but the scheduler has not answered in time; it will be queued ` +
    'when the scheduler answers. Ask with the same request id or watch the job',
  INVALID_PAGE_TOKEN: () => 'the page token is not one of this list',
  INVALID_PAGE_SIZE: ({ pageSize }) => `page_size is ${pageSize}; it must be from 1 to 1000`,
  TOO_MANY_WATCHERS: ({ max }) => `${max} watches are open already`,
  WORKSPACE_NOT_FOUND: ({ workspace }) =>
    `there is no workspace ${workspace} for this caller: upload it first`,
  WORKSPACE_INVALID: () => 'the digest in the first message must be "sha256:" and 64 hex digits',
  WORKSPACE_TOO_LARGE: ({ max }) =>
    `the archive is above ${max} bytes (100 MiB): leave large files out`,
  WORKSPACE_STORE_FULL: ({ max }) =>
    `workspaces of open jobs fill the store of ${max} MiB: let jobs end, or raise ` +
    'workspaces.max-total-mib',
  WORKSPACE_DISK_FULL: ({ directory }) => `the disk of ${directory} is full`,
  TOO_MANY_UPLOADS: ({ max }) => `${max} uploads are running already; try again in a moment`,
  DIGEST_MISMATCH: ({ wanted, got }) =>
    `the archive arrived damaged: announced ${wanted}, got ${got}`,
} as const satisfies Partial<Record<RefusalReason, Sentence>>

type MediatorReason = keyof typeof SENTENCES

const isMediatorReason = (reason: string): reason is MediatorReason =>
  Object.hasOwn(SENTENCES, reason)

/** The error of a reason, with its numbers and names. */
export function mediatorError(
  reason: MediatorReason,
  details: Details = {},
  violations: readonly FieldViolation[] = [],
): RpcError {
  const sentence: Sentence = SENTENCES[reason]
  const metadata = Object.fromEntries(Object.entries(details).map(([k, v]) => [k, String(v)]))
  return rpcError(reason, { message: sentence(details), metadata, violations })
}

/** The error of a refusal by the core or the runtime. */
export function errorOf({ reason, details = {} }: Refusal): RpcError {
  const told = Object.fromEntries(Object.entries(details).map(([k, v]) => [k, String(v)]))
  if (isMediatorReason(reason)) return mediatorError(reason, told)
  return refusalToError({ reason, details: told })
}

/** True when a service that was asked said nothing: it is away, or took too long. */
export const isSilent = (error: unknown): boolean =>
  isAway(error) || (error instanceof RpcError && error.code === 'DEADLINE_EXCEEDED')
