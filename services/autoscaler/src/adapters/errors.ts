import type { Json, Refusal, RpcError } from '@serverless-ai/kernel'
import { type RefusalReason, refusalToError, rpcError } from '@serverless-ai/rpc'

type Details = Readonly<Record<string, Json>>

/** What the autoscaler says with each of its reasons; their codes are in the catalogue. */
const SENTENCES = {
  INVALID_MODE: () => 'the mode is automatic, advise or off',
  TARGET_NOT_FOUND: ({ target }) => `nothing that is scaled is called ${target}`,
} as const satisfies Partial<Record<RefusalReason, (details: Details) => string>>

const isOwn = (reason: string): reason is keyof typeof SENTENCES => Object.hasOwn(SENTENCES, reason)

/** The error of a refusal by the core (sentence and numbers from its details) or the runtime. */
export function errorOf(refusal: Refusal): RpcError {
  const { reason, details = {} } = refusal
  if (!isOwn(reason)) return refusalToError(refusal)
  const sentence: (details: Details) => string = SENTENCES[reason]
  const metadata = Object.fromEntries(
    Object.entries(details).map(([name, value]) => [name, String(value)]),
  )
  return rpcError(reason, { message: sentence(details), metadata })
}
