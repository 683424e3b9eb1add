import { isTlsFailure, type KafkaErrorCode } from './errors.ts'

/** A request that failed: Kafka's name of the error, or `NETWORK`. */
export class WireError extends Error {
  override readonly name = 'WireError'
  readonly code: string
  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}

/** Kafka's name of an error of the library, `TLS`, or `NETWORK`. */
export function codeOf(error: unknown): string {
  if (isTlsFailure(error)) return 'TLS'
  if (error instanceof AggregateError) return error.errors.map(codeOf).at(0) ?? 'NETWORK'
  if (!(error instanceof Error)) return 'NETWORK'
  if ('apiId' in error && typeof error.apiId === 'string') return error.apiId
  // The library's own, for a mechanism that the brokers do not have and for what is not SCRAM.
  if ('code' in error && error.code === 'PLT_KFK_AUTHENTICATION')
    return 'SASL_AUTHENTICATION_FAILED'
  return error.cause === undefined ? 'NETWORK' : codeOf(error.cause)
}

/** What the name of an error means to callers. */
export function kafkaErrorCode(code: string): KafkaErrorCode {
  if (code === 'NETWORK') return 'UNREACHABLE'
  if (code === 'TLS') return 'TLS_FAILED'
  if (NOT_AUTHENTICATED.has(code)) return 'NOT_AUTHENTICATED'
  if (code.endsWith('AUTHORIZATION_FAILED')) return 'NOT_AUTHORIZED'
  if (code === 'UNKNOWN_TOPIC_OR_PARTITION' || code === 'UNKNOWN_TOPIC_ID') return 'TOPIC_MISSING'
  return 'REFUSED'
}

const NOT_AUTHENTICATED = new Set([
  'ILLEGAL_SASL_STATE',
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
])
