/** Replaces everything known of a source by its present state, page by page under one id. */
import { abortable, type Message } from '@serverless-ai/kernel'
import { type Mark, parkedFact, type RuntimeFact, type StoredEvent } from './facts.ts'
import { sourceKey } from './framework.ts'
import type { Session } from './session.ts'
import type { InputSource, PublicEvent } from './types.ts'

const PAGE_EVENTS = 500
/** Wait for a page, ms. */
const PAGE_TIMEOUT_MS = 30_000
/** A page is committed in pieces of at most this size. */
const PIECE_BYTES = 512 * 1024

const stored = (event: PublicEvent): StoredEvent => ({
  type: event.type,
  key: event.key,
  tenant: event.tenant,
  atMs: event.atMs,
  payload: Buffer.from(event.payload).toString('base64'),
})

/** Pieces of a page; at least one, so that an empty source is replaced too. */
function pieces(events: readonly PublicEvent[]): StoredEvent[][] {
  const out: StoredEvent[][] = [[]]
  let bytes = 0
  for (const event of events) {
    const one = stored(event)
    bytes += one.payload.length + one.key.length + 128
    if (bytes > PIECE_BYTES && out[out.length - 1]!.length > 0) {
      out.push([])
      bytes = one.payload.length
    }
    out[out.length - 1]!.push(one)
  }
  return out
}

/** The promise's outcome, or a failure when its owner died on it. */
async function inTime<T, S, C extends Message, E extends Message>(
  session: Session<S, C, E>,
  promise: Promise<T>,
): Promise<T> {
  const abort = new AbortController()
  const stop = (): void => abort.abort(session.signal.reason)
  session.signal.addEventListener('abort', stop, { once: true })
  const late = (): void => abort.abort(new Error('the source did not answer in time'))
  const timer = session.context.ports.timers.after(PAGE_TIMEOUT_MS, late)
  try {
    return await abortable(promise, abort.signal)
  } finally {
    timer.cancel()
    session.signal.removeEventListener('abort', stop)
  }
}

/**
 * Pages go into a shadow state; the last one swaps it: the core's `replaced` command, the mark and
 * the end of the shadow are one commit. A crash in between starts over under a new id. Returns the
 * mark.
 */
export async function bootstrap<S, C extends Message, E extends Message>(
  session: Session<S, C, E>,
  source: InputSource<C>,
): Promise<Mark> {
  const { context, partition } = session
  const { service } = source
  const id = Buffer.from(context.ports.randomness.bytes(16)).toString('hex')
  const all: PublicEvent[] = []
  let page = 0
  let pageToken = ''
  for (;;) {
    const request = { partition, pageSize: PAGE_EVENTS, pageToken }
    const answer = await inTime(session, context.environment.feed(service, request))
    all.push(...answer.events)
    const parts = pieces(answer.events)
    for (const [index, events] of parts.entries()) {
      const fact = { type: 'BootstrapPage', id, source: service, partition, page, events } as const
      page += 1
      const last = answer.nextPageToken === '' && index === parts.length - 1
      if (!last) {
        await commitPage(session, source, { facts: [fact] })
        continue
      }
      const mark = { source: service, partition, seq: answer.seq, offset: answer.offset }
      const done = { type: 'BootstrapDone', id, source: service, partition } as const
      const command = source.replaced(all)
      await commitPage(session, source, { facts: [fact, done], command, mark })
      return mark
    }
    pageToken = answer.nextPageToken
  }
}

function commitPage<S, C extends Message, E extends Message>(
  session: Session<S, C, E>,
  source: InputSource<C>,
  page: { facts: readonly RuntimeFact[]; command?: C; mark?: Mark },
): Promise<void> {
  const at = sourceKey(source.service, session.partition)
  return new Promise((resolve, reject) => {
    session.submit({
      kind: 'page',
      facts: page.facts,
      command: page.command,
      mark: page.mark,
      parked: parkedFact({ source: at, name: 'bootstrap', key: '' }),
      onCommitted: resolve,
      onLost: reject,
    })
  })
}
