import type { RpcCode } from '@serverless-ai/kernel'

/** Reasons with which the autoscaler refuses; rows of the one error table. */
export const SCALING_ERRORS = {
  INVALID_MODE: ['INVALID_ARGUMENT', 400, 'the mode of a scaling target is not one of the three'],
  TARGET_NOT_FOUND: ['NOT_FOUND', 404, 'no such scaling target for this caller'],
} as const satisfies Readonly<
  Record<string, readonly [code: RpcCode, http: number, sentence: string]>
>
