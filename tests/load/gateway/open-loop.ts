import { type Agent, request as httpRequest } from 'node:http'
import { Dice } from '../../support/random.ts'

/** What became of a request. */
export interface Answer {
  /** When it was due, ms from the start of the loop. */
  readonly dueMs: number
  /** From when it was due (not from when it was sent) until its end: what a caller waits. */
  readonly latencyMs: number
  /** HTTP status; 0 = the connection broke. */
  readonly status: number
  /** What was answered; empty unless the load reads it. */
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
    const broken = (): void => resolve({ status: 0, body: '' })
    const request = httpRequest(url, { agent, method, headers }, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => {
        if (reads) pieces.push(piece)
      })
      response.once('end', () => {
        const { complete, statusCode = 0 } = response
        if (!complete) broken()
        else resolve({ status: statusCode, body: Buffer.concat(pieces).toString() })
      })
      response.once('error', broken)
    })
    request.once('error', broken)
    request.end(body)
  })
}

/** Times of arrivals, drawn before the first of them, ms. */
export function arrivals(
  rate: number,
  about: { readonly seed: number; readonly durationMs: number },
): readonly number[] {
  const dice = new Dice(about.seed)
  const due: number[] = []
  for (let at = 0; at < about.durationMs; ) {
    at += (-Math.log(1 - dice.float()) * 1_000) / rate
    if (at < about.durationMs) due.push(at)
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

/** The same for given times; `kindOf`: the request of the nth. */
export async function sendAt(
  due: readonly number[],
  kindOf: (index: number) => Kind,
): Promise<readonly Answer[]> {
  const startMs = performance.now()
  const running: Promise<Answer>[] = []
  for (const [index, dueMs] of due.entries()) {
    const waitMs = dueMs - (performance.now() - startMs)
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
    running.push(
      send(kindOf(index)).then((answer) => {
        return { dueMs, latencyMs: performance.now() - startMs - dueMs, ...answer }
      }),
    )
  }
  return Promise.all(running)
}
