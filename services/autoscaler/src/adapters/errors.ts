import { type RefusalSentences, refusalErrors } from '@serverless-ai/rpc'

/** What the autoscaler says with each of its reasons; their codes are in the catalogue. */
const SENTENCES = {
  INVALID_MODE: () => 'the mode is automatic, advise or off',
  TARGET_NOT_FOUND: ({ target }) => `nothing that is scaled is called ${target}`,
} as const satisfies RefusalSentences

/** The error of a refusal by the core or the runtime. */
export const errorOf = refusalErrors(SENTENCES)
