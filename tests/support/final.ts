import { RpcError } from '@serverless-ai/kernel'

const FINAL: ReadonlySet<string> = new Set([
  'INVALID_ARGUMENT',
  'FAILED_PRECONDITION',
  'ALREADY_EXISTS',
  'NOT_FOUND',
  'OUT_OF_RANGE',
  'PERMISSION_DENIED',
  'UNAUTHENTICATED',
  'DATA_LOSS',
])

/** True for an answer that settles a request; after all others it is asked again, same id. */
export const isFinal = (error: unknown): error is RpcError =>
  error instanceof RpcError && FINAL.has(error.code)
