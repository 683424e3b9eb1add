import type { RpcError } from '@serverless-ai/kernel'
import { rpcError } from '@serverless-ai/rpc'

/** No such job for this caller, or none that is profiled. */
export const jobNotFound = (jobId: string): RpcError =>
  rpcError('JOB_NOT_FOUND', {
    message: `no profile of job ${jobId}`,
    metadata: { jobId },
  })

/** A horizon that is not forecast. */
export const horizonInvalid = (
  horizonMs: bigint,
  range: { min: number; max: number },
): RpcError => {
  const message = `horizon_ms is ${horizonMs}; it is ${range.min} to ${range.max}`
  return rpcError('HORIZON_INVALID', {
    message,
    metadata: { field: 'horizon_ms' },
    violations: [{ field: 'horizon_ms', description: message }],
  })
}

/** A batch that cannot be taken. */
export const telemetryInvalid = (source: string, why: string): RpcError =>
  rpcError('TELEMETRY_INVALID', {
    message: `the batch of "${source.slice(0, 200)}" is not valid: ${why}`,
    metadata: { source: source.slice(0, 200) },
  })

/** A node speaks for another one. */
export const notYourNode = (source: string, subject: string): RpcError =>
  rpcError('NODE_ID_MISMATCH', {
    message: `${subject} must not speak for ${source}`,
    metadata: { source, token: subject },
  })
