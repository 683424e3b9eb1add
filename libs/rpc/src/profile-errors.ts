import type { RpcCode } from '@serverless-ai/kernel'

/** Reasons with which the resource profiler refuses; rows of the one error table. */
export const PROFILE_ERRORS = {
  HORIZON_INVALID: ['INVALID_ARGUMENT', 400, 'the horizon is not one that is forecast'],
  TELEMETRY_INVALID: ['INVALID_ARGUMENT', 400, 'the batch of measurements is not valid'],
} as const satisfies Readonly<
  Record<string, readonly [code: RpcCode, http: number, sentence: string]>
>
