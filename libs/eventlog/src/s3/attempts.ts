import type { Clock, Randomness, Timers } from '@serverless-ai/kernel'
import { SnapshotBucketError } from './errors.ts'
import { ObjectFailure } from './objects.ts'

/** How long a request may take and how often it is tried. */
export interface Patience {
  readonly ports: {
    readonly clock: Clock
    readonly timers: Timers
    readonly randomness: Randomness
  }
  /** For one attempt, its content included, ms. */
  readonly requestTimeoutMs: number
  /** For all attempts together, ms. */
  readonly totalTimeoutMs: number
}

const BACK_OFF_MS = 100
const BACK_OFF_MAX_MS = 3000

/** Codes that another attempt may not meet, whatever the status. */
const PASSING: ReadonlySet<string> = new Set([
  'InternalError',
  'RequestTimeout',
  'RequestTimeTooSkewed',
  'ServiceUnavailable',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
])
const NO_RIGHT: ReadonlySet<string> = new Set([
  'AccessDenied',
  'AllAccessDisabled',
  'ExpiredToken',
  'InvalidAccessKeyId',
  'InvalidToken',
  'SignatureDoesNotMatch',
])

const passes = ({ code, status }: ObjectFailure): boolean =>
  code !== 'NO_CREDENTIALS' &&
  (status === 0 || status === 429 || status >= 500 || PASSING.has(code))

class AttemptTimeout extends Error {}

/**
 * Runs `request` until it succeeds, for `totalTimeoutMs` at most, with back-off between attempts.
 * Every request here may be repeated: keys are written once, with the same content.
 * @throws SnapshotBucketError with what was done, the last cause and the mend
 */
export async function attempt<T>(
  { ports, requestTimeoutMs, totalTimeoutMs }: Patience,
  what: string,
  request: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { clock, timers, randomness } = ports
  const deadlineMs = clock.monotonicMs() + totalTimeoutMs
  for (let tries = 1; ; tries += 1) {
    const leftMs = deadlineMs - clock.monotonicMs()
    const limitMs = Math.max(1, Math.min(requestTimeoutMs, leftMs))
    try {
      return await limited(timers, limitMs, request)
    } catch (error) {
      const ceilingMs = Math.min(BACK_OFF_MAX_MS, BACK_OFF_MS * 2 ** (tries - 1))
      const waitMs = ceilingMs * (0.5 + randomness.float() / 2)
      const again =
        error instanceof AttemptTimeout || (error instanceof ObjectFailure && passes(error))
      const late = clock.monotonicMs() + waitMs >= deadlineMs
      if (!again || late) throw explained(error, { what, tries, limitMs })
      await timers.sleep(waitMs)
    }
  }
}

async function limited<T>(
  timers: Timers,
  limitMs: number,
  request: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController()
  let settle: (error: Error) => void = () => undefined
  // A client that does not heed the signal must not hold the caller either.
  const late = new Promise<never>((_, reject) => {
    settle = reject
  })
  const timer = timers.after(limitMs, () => {
    const error = new AttemptTimeout()
    settle(error)
    abort.abort(error)
  })
  try {
    return await Promise.race([request(abort.signal), late])
  } finally {
    timer.cancel()
  }
}

function explained(
  error: unknown,
  { what, tries, limitMs }: { what: string; tries: number; limitMs: number },
): unknown {
  const often = tries === 1 ? '' : ` after ${tries} attempts`
  if (error instanceof AttemptTimeout) {
    const text = `${what}: no answer within ${Math.round(limitMs)} ms${often}`
    return new SnapshotBucketError('TIMED_OUT', `${text}; check that the store is up and near`)
  }
  if (!(error instanceof ObjectFailure)) return error
  const said = `${what}${often}: ${[error.code, error.message].filter(Boolean).join(': ')}`
  const fail = (code: SnapshotBucketError['code'], mend: string): SnapshotBucketError =>
    new SnapshotBucketError(code, `${said}; ${mend}`)
  if (error.code === 'NO_CREDENTIALS') {
    return fail(
      'NO_CREDENTIALS',
      'name a credentials file, or use the standard variables, files or roles of AWS',
    )
  }
  if (error.code === 'NoSuchBucket') {
    return fail('BUCKET_MISSING', 'make the bucket, or name another one')
  }
  if (NO_RIGHT.has(error.code) || error.status === 401 || error.status === 403) {
    return fail(
      'NOT_AUTHORIZED',
      'check the credentials, and that they may list the bucket and get, put and delete objects',
    )
  }
  if (error.status === 0 || error.status === 429 || error.status >= 500) {
    return fail('UNREACHABLE', 'check the endpoint, the region and the network')
  }
  return fail('REFUSED', 'check the endpoint, the region and the path style')
}
