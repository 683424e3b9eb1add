import type { Message } from '@serverless-ai/kernel'
import { errorText } from './errors.ts'
import type { LeadSession } from './lead-session.ts'
import type { Signal } from './signal.ts'

/** Longest graceful stop, ms; after it the partition is closed as it is. */
const STOP_MS = 3000
/** The publisher is given this long to bring out what is committed, ms. */
const PUBLISH_MS = 500

interface Stopping<S, C extends Message, E extends Message> {
  readonly session: LeadSession<S, C, E>
  /** Notified with every commit. */
  readonly changed: Signal
  /** Writes a snapshot when there is something new. */
  snapshot(): Promise<string> | undefined
}

/**
 * Finish the batch, bring out what is committed, snapshot, yield. Ends early when the log does not
 * go along.
 */
export async function stopGracefully<S, C extends Message, E extends Message>(
  how: Stopping<S, C, E>,
): Promise<void> {
  const { session } = how
  const { ports, logger } = session.context
  const abort = new AbortController()
  const end = (why: string) => (): void => abort.abort(new Error(why))
  const timer = ports.timers.after(STOP_MS, end('took too long'))
  const lost = end('not leading any more')
  if (session.signal.aborted) lost()
  session.signal.addEventListener('abort', lost, { once: true })
  try {
    await drained(how, abort.signal)
    await published(session, abort.signal)
    session.publisher.record()
    try {
      await withSignal(how.snapshot(), abort.signal)
    } catch (error) {
      // The log holds everything: the next start folds more of it.
      logger.log('warn', 'stopped without a snapshot', { error: errorText(error) })
    }
    await drained(how, abort.signal)
    session.signal.removeEventListener('abort', lost)
    await withSignal(yielded(session), abort.signal)
  } catch (error) {
    logger.log('warn', 'stopped without a yield', { error: errorText(error) })
  } finally {
    timer.cancel()
    session.signal.removeEventListener('abort', lost)
  }
}

async function drained<S, C extends Message, E extends Message>(
  how: Stopping<S, C, E>,
  signal: AbortSignal,
): Promise<void> {
  const { leader } = how.session
  while (leader.inFlight !== undefined || !leader.mailbox.empty) {
    if (leader.blocked !== undefined) throw leader.blocked
    await how.changed.wait(signal)
  }
}

async function published<S, C extends Message, E extends Message>(
  session: LeadSession<S, C, E>,
  signal: AbortSignal,
): Promise<void> {
  const limit = new AbortController()
  const stop = (): void => limit.abort(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  const timer = session.context.ports.timers.after(PUBLISH_MS, stop)
  try {
    while (!session.publisher.idle) await session.publisher.advanced.wait(limit.signal)
  } catch {
    // What is not out yet is published by the next leader.
  } finally {
    timer.cancel()
    signal.removeEventListener('abort', stop)
  }
}

function yielded<S, C extends Message, E extends Message>(
  session: LeadSession<S, C, E>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const onConfirmed = (): void => resolve()
    session.submit({ kind: 'yield', alone: true, onConfirmed, onLost: reject })
  })
}

function withSignal<T>(promise: Promise<T> | undefined, signal: AbortSignal): Promise<unknown> {
  if (promise === undefined) return Promise.resolve()
  const aborted = new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  return Promise.race([promise, aborted])
}
