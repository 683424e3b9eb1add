import type { RpcCode } from '@serverless-ai/kernel'

/** Reasons with which the SLA monitor refuses; rows of the one error table. */
export const OBJECTIVE_ERRORS = {
  ALERT_CANNOT_FIRE: [
    'FAILED_PRECONDITION',
    422,
    'an alert of the objective can never fire, or cannot be told from chance',
  ],
  INVALID_OBJECTIVE: ['INVALID_ARGUMENT', 400, 'the objective is not valid'],
  OBJECTIVE_CHANGED: ['ABORTED', 409, 'the objective was changed meanwhile; read it again'],
  OBJECTIVE_EXISTS: ['ALREADY_EXISTS', 409, 'an objective of that name exists'],
  OBJECTIVE_NOT_FOUND: ['NOT_FOUND', 404, 'no such objective for this caller'],
  OBJECTIVE_PROMISE_FIXED: [
    'FAILED_PRECONDITION',
    409,
    'what an objective promises is never changed; declare another one',
  ],
  TOO_MANY_OBJECTIVES: ['RESOURCE_EXHAUSTED', 429, 'the cell has its most objectives'],
} as const satisfies Readonly<
  Record<string, readonly [code: RpcCode, http: number, sentence: string]>
>
