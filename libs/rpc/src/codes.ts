import type { RpcCode } from '@serverless-ai/kernel'

/** Canonical codes with their numbers on the wire. */
export const CODE_NUMBERS: Readonly<Record<RpcCode, number>> = {
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
}

const BY_NUMBER = new Map<number, RpcCode>()
for (const code in CODE_NUMBERS) if (isCode(code)) BY_NUMBER.set(CODE_NUMBERS[code], code)

function isCode(name: string): name is RpcCode {
  return Object.hasOwn(CODE_NUMBERS, name)
}

/** The code of a number; anything unknown is `UNKNOWN`. */
export function codeOf(number: number): RpcCode {
  return BY_NUMBER.get(number) ?? 'UNKNOWN'
}
