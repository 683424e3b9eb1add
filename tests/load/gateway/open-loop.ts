import { type Agent, request as httpRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { Dice } from '../../support/random.ts'

/** What became of a request. */
export interface Answer {
  /** When it was due, ms from the start of the loop. */
  readonly dueMs: number
  /** From when it was due (not from when it was sent) until its end: what a caller waits. */
  readonly latencyMs: number
  /** HTTP status; 0 = the connection broke. */
  readonly status: number
  /** What was answered, where the load reads it; why the connection broke. */
  readonly body: string
}

/** One kind of requests. */
export interface Kind {
  readonly url: string
  readonly agent: Agent
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** What is answered is read; otherwise it is thrown away. */
  readonly reads?: boolean
}

/** One kind of requests of a loop. */
export interface Load extends Kind {
  /** Requests per second; arrivals are a Poisson process. */
  readonly rate: number
}

/** Sends one request; never rejects. */
export function send(kind: Kind): Promise<Pick<Answer, 'status' | 'body'>> {
  const { url, agent, headers = {}, body, reads = false } = kind
  return new Promise((resolve) => {
    const method = body === undefined ? 'GET' : 'POST'
    const broken = (why: string): void => resolve({ status: 0, body: why })
    const request = httpRequest(url, { agent, method, headers }, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => {
        if (reads) pieces.push(piece)
      })
      response.once('end', () => {
        const { complete, statusCode = 0 } = response
        if (!complete) broken('the answer is not whole')
        else resolve({ status: statusCode, body: Buffer.concat(pieces).toString() })
      })
      response.once('error', ({ message }) => broken(`within the answer: ${message}`))
    })
    request.once('error', ({ message }) => broken(message))
    request.end(body)
  })
}

/** Times of arrivals for ever, ms: the seed alone decides about them. */
function* arrivalsOf(rate: number, seed: number): Generator<number> {
  const dice = new Dice(seed)
  for (let at = 0; ; ) {
    at += (-Math.log(1 - dice.float()) * 1_000) / rate
    yield at
  }
}

/** Times of arrivals, drawn before the first of them, ms. */
export function arrivals(
  rate: number,
  about: { readonly seed: number; readonly durationMs: number },
): readonly number[] {
  const due: number[] = []
  for (const at of arrivalsOf(rate, about.seed)) {
    if (at >= about.durationMs) break
    due.push(at)
  }
  return due
}

/**
 * Requests at times that are drawn before the first one is sent: a slow answer delays no other
 * request, and what is sent late because of this process counts as waiting. Resolves when all are
 * answered.
 */
export function openLoop(
  load: Load,
  about: { readonly seed: number; readonly durationMs: number },
): Promise<readonly Answer[]> {
  return sendAt(arrivals(load.rate, about), () => load)
}

/** The same until `over` says so; what was sent by then is waited for. */
export function openLoopUntil(
  load: Load,
  about: { readonly seed: number; readonly over: () => boolean },
): Promise<readonly Answer[]> {
  return sendAt(arrivalsOf(load.rate, about.seed), () => load, about.over)
}

/** The same for given times; `kindOf`: the request of the nth. */
export async function sendAt(
  due: Iterable<number>,
  kindOf: (index: number) => Kind,
  over: () => boolean = () => false,
): Promise<readonly Answer[]> {
  const startMs = performance.now()
  const running: Promise<Answer>[] = []
  for (const dueMs of due) {
    const index = running.length
    const waitMs = dueMs - (performance.now() - startMs)
    if (waitMs > 0) await sleep(waitMs)
    if (over()) break
    running.push(
      send(kindOf(index)).then((answer) => {
        return { dueMs, latencyMs: performance.now() - startMs - dueMs, ...answer }
      }),
    )
  }
  return Promise.all(running)
}
