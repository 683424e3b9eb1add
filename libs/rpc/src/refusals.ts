import type { Json, Refusal, RpcError } from '@serverless-ai/kernel'
import { edgeErrorOf, type RefusalReason, refusalToError, rpcError } from './error-table.ts'

/** Numbers and names of a refusal. */
export type RefusalDetails = Readonly<Record<string, Json>>

/** One line for people for each reason of a service: what, and how to mend it. */
export type RefusalSentences = Readonly<
  Partial<Record<RefusalReason, (details: RefusalDetails) => string>>
>

const plain = (details: RefusalDetails): Record<string, string> =>
  Object.fromEntries(Object.entries(details).map(([name, value]) => [name, String(value)]))

/**
 * Errors of refusals by a core: its own reasons with their sentences, those of the runtime as the
 * catalogue says them. A `field` in the details of an invalid argument becomes its violation.
 *
 * @param metadataOf details as flat texts
 */
export function refusalErrors(
  sentences: RefusalSentences,
  metadataOf: (details: RefusalDetails) => Record<string, string> = plain,
): (refusal: Refusal) => RpcError {
  const own = new Map(Object.entries(sentences))
  return (refusal) => {
    const { reason, details = {} } = refusal
    const sentence = own.get(reason)
    if (sentence === undefined) return refusalToError(refusal)
    const message = sentence(details)
    const { field } = details
    const invalid = edgeErrorOf(reason)[0] === 'INVALID_ARGUMENT' && typeof field === 'string'
    const violations = invalid ? [{ field, description: message }] : []
    return rpcError(reason as RefusalReason, {
      message,
      metadata: metadataOf(details),
      violations,
    })
  }
}
