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

/** Kafka cannot serve a read or an administrative request; the message says how to mend it. */
export class KafkaLogError extends Error {
  override readonly name = 'KafkaLogError'
  /** `UNREACHABLE` may pass by itself; the others need an operator. */
  readonly code: 'UNREACHABLE' | 'TOPIC_MISSING' | 'NOT_AUTHORIZED' | 'REFUSED'
  constructor(code: KafkaLogError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
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
