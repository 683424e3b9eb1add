import { LogOutOfRangeError } from '../port.ts'

/**
 * A record that should be there is missing between others: the partition was written in
 * transactions, compacted or damaged. A reader cannot get past it and must load from elsewhere, so
 * it is out of range too.
 */
export class LogGapError extends LogOutOfRangeError {
  override readonly name: string = 'LogGapError'
  constructor(init: {
    topic: string
    partition: number
    from: number
    found: number
    end: number
  }) {
    super({ from: init.from, start: init.found, end: init.end })
    this.message =
      `${init.topic}/${init.partition} jumps from position ${init.from} to ${init.found}: ` +
      'records are missing. Only the platform may write this topic, without transactions, and it ' +
      'must not be compacted'
  }
}

/**
 * `UNREACHABLE` may pass by itself; the others need an operator: `TLS_FAILED` (the certificates do
 * not fit), `NOT_AUTHENTICATED` (wrong user or password), `NOT_AUTHORIZED` (an ACL is missing),
 * `TOPIC_MISSING`, `REFUSED` (anything else that brokers said).
 */
export type KafkaErrorCode =
  | 'UNREACHABLE'
  | 'TLS_FAILED'
  | 'NOT_AUTHENTICATED'
  | 'NOT_AUTHORIZED'
  | 'TOPIC_MISSING'
  | 'REFUSED'

/** Node's codes of a TLS handshake that failed over certificates or protocol. */
const TLS_CODE =
  /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_|INVALID_CA|EPROTO)/

/** True when the error, or one that caused it, is of a TLS handshake. */
export function isTlsFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if ('code' in error && typeof error.code === 'string' && TLS_CODE.test(error.code)) return true
  if (error instanceof AggregateError && error.errors.some(isTlsFailure)) return true
  return error.cause !== undefined && isTlsFailure(error.cause)
}

/** What an operator does about it. */
function mendOf(code: KafkaErrorCode): string {
  switch (code) {
    case 'UNREACHABLE':
      return 'check the addresses, and that the brokers run'
    case 'TLS_FAILED':
      return 'check kafka.tls.ca, the name in the certificates of the brokers, and the listener'
    case 'NOT_AUTHENTICATED':
      return 'check user, password file and mechanism'
    case 'NOT_AUTHORIZED':
      return "give this user the ACLs that 'sai admin topics' needs, or use another one"
    default:
      return ''
  }
}

/** Kafka cannot serve a read or an administrative request; the message says how to mend it. */
export class KafkaLogError extends Error {
  override readonly name = 'KafkaLogError'
  readonly code: KafkaErrorCode
  constructor(code: KafkaLogError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}

/** A cluster that cannot be used at all, with what to do about it. */
export function clusterFailure(
  target: { readonly brokers: readonly string[] },
  code: KafkaErrorCode,
  error: unknown,
): KafkaLogError {
  const where = target.brokers.join(', ')
  const what: Record<KafkaErrorCode, string> = {
    UNREACHABLE: `no Kafka broker answers at ${where}`,
    TLS_FAILED: `no TLS with the Kafka brokers at ${where}`,
    NOT_AUTHENTICATED: `the Kafka brokers at ${where} do not accept user and password`,
    NOT_AUTHORIZED: `the Kafka brokers at ${where} do not allow that`,
    TOPIC_MISSING: `the Kafka brokers at ${where} do not have the topic`,
    REFUSED: `the Kafka brokers at ${where} refused`,
  }
  const text = [what[code], causes(error), mendOf(code)].filter((part) => part !== '').join(': ')
  return new KafkaLogError(code, text, error)
}

/** What a missing topic or partition means to people. */
export function missingTopic(topic: string, partition?: number): KafkaLogError {
  const what = partition === undefined ? `topic ${topic}` : `partition ${partition} of ${topic}`
  return new KafkaLogError(
    'TOPIC_MISSING',
    `${what} does not exist and is never made by itself: run 'sai admin topics apply'`,
  )
}

/** Text of an error with those that caused it. */
export function causes(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const inner: readonly unknown[] =
    error instanceof AggregateError ? error.errors.slice(-1) : error.cause ? [error.cause] : []
  const texts = [error.message, ...inner.map(causes)].filter((text) => text !== '')
  return [...new Set(texts)].join(': ')
}
