import { type FieldViolation, type Refusal, type RpcCode, RpcError } from '@serverless-ai/kernel'
import { refusalToError } from '@serverless-ai/rpc'

type Details = Readonly<Record<string, string | number>>

interface EdgeError {
  readonly code: RpcCode
  /** One line for people: what, and how to mend it. */
  readonly message: (details: Details) => string
}

/** Every reason with which the mediator refuses; the scheduler's are passed on as they are. */
export const MEDIATOR_ERRORS = {
  INVALID_SPEC: {
    code: 'INVALID_ARGUMENT',
    message: ({ file, count, first }) =>
      `${file} cannot be used (${count === 1 ? 'one problem' : `${count} problems`}): ${first}`,
  },
  JOB_NOT_FOUND: {
    code: 'NOT_FOUND',
    message: ({ jobId }) => `there is no job ${jobId} for this caller`,
  },
  TOO_MANY_JOBS: {
    code: 'RESOURCE_EXHAUSTED',
    message: ({ open, max }) => `${open} jobs have not finished; this cell takes ${max} at once`,
  },
  TENANT_REQUIRED: {
    code: 'INVALID_ARGUMENT',
    message: () => 'an administrator submits for a tenant: name it in the field tenant',
  },
  TENANT_NOT_YOURS: {
    code: 'PERMISSION_DENIED',
    message: ({ tenant }) => `this token belongs to the tenant ${tenant}: leave tenant empty`,
  },
  ENQUEUE_PENDING: {
    code: 'DEADLINE_EXCEEDED',
    message: ({ jobId }) =>
      `job ${jobId} was taken, but the scheduler has not answered in time; it will be queued ` +
      'when the scheduler answers. Ask with the same request id or watch the job',
  },
  INVALID_PAGE_TOKEN: {
    code: 'INVALID_ARGUMENT',
    message: () => 'the page token is not one of this list',
  },
  INVALID_PAGE_SIZE: {
    code: 'INVALID_ARGUMENT',
    message: ({ pageSize }) => `page_size is ${pageSize}; it must be from 1 to 1000`,
  },
  TOO_MANY_WATCHERS: {
    code: 'RESOURCE_EXHAUSTED',
    message: ({ max }) => `${max} watches are open already`,
  },
  WORKSPACE_NOT_FOUND: {
    code: 'NOT_FOUND',
    message: ({ workspace }) =>
      `there is no workspace ${workspace} for this caller: upload it first`,
  },
  WORKSPACE_INVALID: {
    code: 'INVALID_ARGUMENT',
    message: () => 'the digest in the first message must be "sha256:" and 64 hex digits',
  },
  WORKSPACE_TOO_LARGE: {
    code: 'RESOURCE_EXHAUSTED',
    message: ({ max }) => `the archive is above ${max} bytes (100 MiB): leave large files out`,
  },
  WORKSPACE_STORE_FULL: {
    code: 'RESOURCE_EXHAUSTED',
    message: ({ max }) =>
      `workspaces of open jobs fill the store of ${max} MiB: let jobs end, or raise ` +
      'workspaces.max-total-mib',
  },
  WORKSPACE_DISK_FULL: {
    code: 'RESOURCE_EXHAUSTED',
    message: ({ directory }) => `the disk of ${directory} is full`,
  },
  TOO_MANY_UPLOADS: {
    code: 'RESOURCE_EXHAUSTED',
    message: ({ max }) => `${max} uploads are running already; try again in a moment`,
  },
  DIGEST_MISMATCH: {
    code: 'DATA_LOSS',
    message: ({ wanted, got }) => `the archive arrived damaged: announced ${wanted}, got ${got}`,
  },
} as const satisfies Record<string, EdgeError>

export type MediatorReason = keyof typeof MEDIATOR_ERRORS

const isMediatorReason = (reason: string): reason is MediatorReason =>
  Object.hasOwn(MEDIATOR_ERRORS, reason)

/** The error for a reason with its numbers and names. */
export function mediatorError(
  reason: MediatorReason,
  details: Details = {},
  violations: readonly FieldViolation[] = [],
): RpcError {
  const entry: EdgeError = MEDIATOR_ERRORS[reason]
  const metadata = Object.fromEntries(Object.entries(details).map(([k, v]) => [k, String(v)]))
  return new RpcError({
    code: entry.code,
    reason,
    message: entry.message(details),
    metadata,
    violations,
  })
}

/** The error of a refusal: of the core by the table above, of the runtime by the platform's. */
export function errorOf({ reason, details = {} }: Refusal): RpcError {
  const told = Object.fromEntries(Object.entries(details).map(([k, v]) => [k, String(v)]))
  if (isMediatorReason(reason)) return mediatorError(reason, told)
  return refusalToError({ reason, details: told })
}
