import { type Message, RpcError, type Span } from '@serverless-ai/kernel'
import { deadlineExceeded } from './errors.ts'
import type { CommandItem, Waiter } from './items.ts'
import type { LeadSession } from './lead-session.ts'
import type { Answer, ExecuteOptions } from './types.ts'

/** Public events that wait to be published; more commands are refused until they are out. */
const PUBLISH_BACKLOG_MAX = 100_000
/**
 * Answers kept for repeated requests; more requests with an id are refused until some are too old.
 */
const ANSWERS_MAX = 2_000_000

const exhausted = (reason: string, message: string): RpcError =>
  new RpcError({ code: 'RESOURCE_EXHAUSTED', reason, message, retryAfterMs: 500 })

function admit<S, C extends Message, E extends Message>(
  session: LeadSession<S, C, E>,
  options: ExecuteOptions,
): void {
  const { leader } = session
  const service = session.context.definition.name
  if (leader.blocked !== undefined) throw leader.blocked
  if (leader.mailbox.full) throw exhausted('MAILBOX_FULL', `${service} has too much waiting`)
  const framework = session.state()?.framework
  if ((framework?.unpublished.length ?? 0) > PUBLISH_BACKLOG_MAX) {
    throw exhausted('PUBLISH_BACKLOG', `${service} cannot publish as fast as it commits`)
  }
  if (options.requestId === undefined) return
  if ((framework?.answers.size ?? 0) >= ANSWERS_MAX) {
    throw exhausted('REQUEST_TABLE_FULL', `${service} keeps too many answers of the last 24 hours`)
  }
  if (options.bodyHash === undefined) {
    throw new RpcError({
      code: 'INTERNAL',
      reason: 'INTERNAL',
      message: 'a request id needs the hash of its request',
    })
  }
}

/** The span of a command, from here until it is answered, where its caller is traced. */
function spanOf<S, C extends Message, E extends Message>(
  session: LeadSession<S, C, E>,
  { type }: C,
): Span | undefined {
  const { traces } = session.context
  const parent = traces?.tracer.active()
  return parent === undefined ? undefined : traces?.span(`commit ${type}`, { parent })
}

/** Puts a command into the mailbox; resolves when its commit was read back. */
export function submitCommand<S, C extends Message, E extends Message>(
  session: LeadSession<S, C, E>,
  command: C,
  options: ExecuteOptions,
): Promise<Answer> {
  admit(session, options)
  if (options.signal?.aborted === true) return Promise.reject(options.signal.reason)
  const span = spanOf(session, command)
  return new Promise((resolve, reject) => {
    const { timers } = session.context.ports
    const release = (): void => {
      timer?.cancel()
      options.signal?.removeEventListener('abort', aborted)
    }
    const waiter: Waiter = {
      resolve: (answer) => {
        release()
        span?.set({ 'sai.position': answer.position })
        span?.end(answer.ok ? {} : { error: answer.refusal.reason })
        resolve(answer)
      },
      reject: (error) => {
        release()
        span?.end({ error: error instanceof RpcError ? error.reason : error.message })
        reject(error)
      },
    }
    const item: CommandItem<C> = {
      kind: 'command',
      command,
      trace: span?.context,
      requestId: options.requestId ?? '',
      bodyHash: options.bodyHash ?? new Uint8Array(0),
      waiters: [waiter],
      cancelled: false,
      decided: false,
      onLost: (error) => {
        for (const one of item.waiters.splice(0)) one.reject(error)
      },
    }
    const giveUp = (error: Error): void => {
      // Decided already: it will be carried out all the same, only nobody waits any more.
      if (!item.decided && item.waiters.length === 1) item.cancelled = true
      waiter.reject(error)
    }
    const aborted = (): void => giveUp(options.signal?.reason)
    options.signal?.addEventListener('abort', aborted, { once: true })
    const timer =
      options.timeoutMs === undefined
        ? undefined
        : timers.after(options.timeoutMs, () =>
            giveUp(deadlineExceeded('the command was not carried out in time')),
          )
    session.submit(item)
  })
}
