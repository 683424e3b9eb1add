/** Requests of the OpenAI API, as far as the gate has to understand them. */

/** Paths whose body names a model. */
export const OPENAI_PATHS: ReadonlySet<string> = new Set([
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/v1/responses',
])
export const OPENAI_MODELS = '/v1/models'

/** Characters of English text for one token, as OpenAI's documentation has it. */
const CHARS_PER_TOKEN = 4
/** Tokens of an answer where the request does not bound them. */
const ANSWER_TOKENS = 256
const ANSWER_TOKENS_MAX = 1_000_000

/** What the gate takes from a request. */
export interface OpenAiRequest {
  readonly model: string
  /** Estimated prompt tokens. */
  readonly promptTokens: number
  /** Tokens that the answer may have. */
  readonly answerTokens: number
  /** `user` or `prompt_cache_key`: requests that belong together. Empty = it does not say. */
  readonly session: string
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Undefined = no JSON object with a model. */
export function readOpenAi(body: Buffer): OpenAiRequest | undefined {
  let json: unknown
  try {
    json = JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
  if (!isRecord(json)) return undefined
  const model = textOf(json['model'])
  if (model === '' || model.length > 256) return undefined
  const asked = [json['max_completion_tokens'], json['max_tokens'], json['max_output_tokens']]
  const bound = asked.find((value) => Number.isSafeInteger(value) && Number(value) > 0)
  return {
    model,
    promptTokens: Math.max(1, Math.ceil(body.length / CHARS_PER_TOKEN)),
    answerTokens: Math.min(bound === undefined ? ANSWER_TOKENS : Number(bound), ANSWER_TOKENS_MAX),
    session: textOf(json['prompt_cache_key']) || textOf(json['user']),
  }
}
