import { encodeMessage } from '@serverless-ai/contracts/encode'
import { BadRequest, ErrorInfo, RetryInfo } from '@serverless-ai/contracts/google/rpc/error_details'
import { Status } from '@serverless-ai/contracts/google/rpc/status'
import { type RpcCode, RpcError } from '@serverless-ai/kernel'
import { CODE_NUMBERS, codeOf } from './codes.ts'

const DOMAIN = 'serverlessai.dev'
const TYPE_PREFIX = 'type.googleapis.com/google.rpc.'

// A status travels in HTTP/2 trailers, whose size peers bound (often to 8 KiB).
const MESSAGE_MAX_CHARS = 1024
const VIOLATIONS_MAX = 16
const METADATA_MAX = 24
const VALUE_MAX_CHARS = 256

const cut = (text: string, max: number) =>
  text.length <= max ? text : `${text.slice(0, max - 1)}…`

function details(error: RpcError): Status['details'] {
  const entries = Object.entries(error.metadata).slice(0, METADATA_MAX)
  const info = encodeMessage(ErrorInfo, {
    reason: error.reason,
    domain: DOMAIN,
    metadata: Object.fromEntries(entries.map(([k, v]) => [k, cut(v, VALUE_MAX_CHARS)])),
  })
  const found = [{ typeUrl: `${TYPE_PREFIX}ErrorInfo`, value: info }]
  if (error.violations.length > 0) {
    const fieldViolations = error.violations.slice(0, VIOLATIONS_MAX).map((violation) => ({
      field: cut(violation.field, VALUE_MAX_CHARS),
      description: cut(violation.description, VALUE_MAX_CHARS),
      reason: '',
      localizedMessage: undefined,
    }))
    const bad = encodeMessage(BadRequest, { fieldViolations })
    found.push({ typeUrl: `${TYPE_PREFIX}BadRequest`, value: bad })
  }
  if (error.retryAfterMs !== undefined) {
    const whole = Math.floor(error.retryAfterMs / 1000)
    const nanos = Math.round((error.retryAfterMs - whole * 1000) * 1e6)
    const retryDelay = { seconds: BigInt(whole), nanos }
    found.push({
      typeUrl: `${TYPE_PREFIX}RetryInfo`,
      value: encodeMessage(RetryInfo, { retryDelay }),
    })
  }
  return found
}

/** The `google.rpc.Status` of an error, as it travels in `grpc-status-details-bin`. */
export function encodeStatus(error: RpcError): Uint8Array {
  const message = cut(error.message, MESSAGE_MAX_CHARS)
  const code = CODE_NUMBERS[error.code]
  return encodeMessage(Status, { code, message, details: details(error) })
}

/**
 * The error of a status. Without details (a proxy, a foreign server, the gRPC library itself) the
 * reason is the name of the code.
 */
export function decodeStatus(bytes: Uint8Array): RpcError {
  const status = Status.decode(bytes)
  const code = codeOf(status.code)
  const find = (name: string) => status.details.find((any) => any.typeUrl === TYPE_PREFIX + name)
  const info = find('ErrorInfo')
  const bad = find('BadRequest')
  const retry = find('RetryInfo')
  const { reason, metadata } = info ? ErrorInfo.decode(info.value) : { reason: code, metadata: {} }
  const delay = retry ? RetryInfo.decode(retry.value).retryDelay : undefined
  return new RpcError({
    code,
    reason,
    message: status.message,
    metadata,
    violations: bad
      ? BadRequest.decode(bad.value).fieldViolations.map(({ field, description }) => ({
          field,
          description,
        }))
      : [],
    ...(delay ? { retryAfterMs: Number(delay.seconds) * 1000 + delay.nanos / 1e6 } : {}),
  })
}

/** An error without details. */
export function plainError(code: RpcCode, message: string): RpcError {
  return new RpcError({ code, reason: code, message })
}
