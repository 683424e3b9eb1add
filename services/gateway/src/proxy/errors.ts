import type { RpcError } from '@serverless-ai/kernel'
import { CODE_NUMBERS, encodeStatus, httpStatusOf, rpcError } from '@serverless-ai/rpc'
import type { Exchange } from './exchange.ts'

/** In which form a caller expects errors. */
export type ErrorForm = 'google' | 'openai' | 'grpc'

const DOMAIN = 'serverlessai.dev'
const TYPE = 'type.googleapis.com/google.rpc.'

/** An alert is looked at every 5 s at most: it does not end sooner, ms. */
const SHED_RETRY_MS = 5_000

/** The class of a request is refused while an objective of its service is in danger. */
export const shedByAction = (className: string): RpcError =>
  rpcError('REQUEST_SHED', {
    message: `an objective is in danger: the class ${className} is refused until its alert is over`,
    metadata: { class: className },
    retryAfterMs: SHED_RETRY_MS,
  })

/** Answer of the form that Google's APIs have over HTTP: AIP-193. */
function googleError(error: RpcError): object {
  const { code, reason, message, metadata, violations, retryAfterMs } = error
  const details: object[] = [{ '@type': `${TYPE}ErrorInfo`, reason, domain: DOMAIN, metadata }]
  if (violations.length > 0) {
    details.push({ '@type': `${TYPE}BadRequest`, fieldViolations: violations })
  }
  if (retryAfterMs !== undefined) {
    details.push({ '@type': `${TYPE}RetryInfo`, retryDelay: `${retryAfterMs / 1_000}s` })
  }
  return { error: { code: httpStatusOf(error), status: code, message, details } }
}

/** Kinds of errors as OpenAI's clients tell them apart. */
function openAiType(status: number): string {
  if (status === 401) return 'authentication_error'
  if (status === 403) return 'permission_error'
  if (status === 429) return 'rate_limit_error'
  return status >= 500 ? 'server_error' : 'invalid_request_error'
}

function openAiError(error: RpcError): object {
  const { message, reason } = error
  const type = openAiType(httpStatusOf(error))
  return { error: { message, type, param: null, code: reason } }
}

/** The body of an error. */
export const errorBody = (error: RpcError, form: ErrorForm): string =>
  JSON.stringify(form === 'openai' ? openAiError(error) : googleError(error))

/** The trailers of an error of a gRPC call. */
export function grpcTrailers(error: RpcError): Record<string, string> {
  return {
    'grpc-status': String(CODE_NUMBERS[error.code]),
    'grpc-message': encodeURIComponent(error.message),
    'grpc-status-details-bin': Buffer.from(encodeStatus(error)).toString('base64'),
  }
}

/** Seconds after which a caller may try again, for those errors where that is a good idea. */
function retryAfter(error: RpcError): Record<string, string> {
  const status = httpStatusOf(error)
  if (status !== 429 && status !== 503) return {}
  return { 'retry-after': String(Math.max(1, Math.ceil((error.retryAfterMs ?? 1_000) / 1_000))) }
}

/** Headers of every answer of the gateway itself. */
const PLAIN = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }

/** Who sends such a head may see the end of its request elsewhere: nothing more is taken of it. */
const LAST: ReadonlySet<string> = new Set(['HEADER_INVALID', 'TARGET_INVALID', 'TOO_MANY_HEADERS'])

/** Answers with an error, where nothing was answered yet. */
export function answerError(
  exchange: Exchange,
  error: RpcError,
  form: ErrorForm,
  more: Readonly<Record<string, string>> = {},
): void {
  const last = !exchange.http2 && LAST.has(error.reason) ? { connection: 'close' } : {}
  if (form === 'grpc') {
    exchange.begin(200, { ...more, ...last, 'content-type': 'application/grpc' }, false)
    exchange.end(undefined, grpcTrailers(error))
    return
  }
  const body = errorBody(error, form)
  const authenticate = error.code === 'UNAUTHENTICATED' ? { 'www-authenticate': 'Bearer' } : {}
  // RFC 9110, 15.5.16: what would be taken instead.
  const takes = error.reason === 'ENCODING_NOT_SUPPORTED' ? { 'accept-encoding': 'identity' } : {}
  const headers = {
    ...PLAIN,
    ...more,
    ...last,
    ...takes,
    ...retryAfter(error),
    ...authenticate,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
  }
  exchange.begin(httpStatusOf(error), headers, false)
  exchange.end(exchange.method === 'HEAD' ? undefined : body)
}

/** Ends an answer that has begun so that the caller knows it is not complete. */
export function breakOff(exchange: Exchange, error: RpcError, form: ErrorForm, sse: boolean): void {
  if (form === 'grpc') exchange.end(undefined, grpcTrailers(error))
  else if (sse) {
    // A stream of events has a place for it; the connection stays usable.
    const name = form === 'openai' ? '' : 'event: error\n'
    exchange.end(`\n\n${name}data: ${errorBody(error, form)}\n\n`)
  } else exchange.cut()
}
