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
}

/** One kind of requests of a loop. */
export interface Load {
  readonly url: string
  readonly agent: Agent
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Requests per second; arrivals are a Poisson process. */
  readonly rate: number
}

/** Sends one request; never rejects. */
export function send({ url, agent, headers = {}, body }: Omit<Load, 'rate'>): Promise<number> {
  return new Promise((resolve) => {
    const method = body === undefined ? 'GET' : 'POST'
    const request = httpRequest(url, { agent, method, headers }, (response) => {
      response.resume()
      response.once('end', () => resolve(response.complete ? (response.statusCode ?? 0) : 0))
      response.once('error', () => resolve(0))
    })
    request.once('error', () => resolve(0))
    request.end(body)
  })
}

/**
 * Requests at times that are drawn before the first one is sent: a slow answer delays no other
 * request, and what is sent late because of this process counts as waiting. Resolves when all are
 * answered.
 */
export async function openLoop(
  load: Load,
  about: { readonly seed: number; readonly durationMs: number },
): Promise<readonly Answer[]> {
  const dice = new Dice(about.seed)
  const due: number[] = []
  for (let at = 0; at < about.durationMs; ) {
    at += (-Math.log(1 - dice.float()) * 1_000) / load.rate
    if (at < about.durationMs) due.push(at)
  }
  const startMs = performance.now()
  const running: Promise<Answer>[] = []
  for (const dueMs of due) {
    const waitMs = dueMs - (performance.now() - startMs)
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
    running.push(
      send(load).then((status) => {
        return { dueMs, latencyMs: performance.now() - startMs - dueMs, status }
      }),
    )
  }
  return Promise.all(running)
}
