import createClient from 'openapi-fetch'
import { eventsOf } from './events.ts'
import type { components, paths } from './gen/api.ts'
import { requestId } from './request-id.ts'

/** A job as the API gives it. */
export type Job = components['schemas']['job.v1.Job']
type Watched = components['schemas']['job.v1.WatchJobResponse']

/** Where the API is, and as whom. */
export interface Target {
  /** For example `http://127.0.0.1:7072`. */
  readonly url: string
  readonly token: string
  /** Default: `fetch` of the platform. */
  readonly fetch?: (request: Request) => Promise<Response>
}

const FINISHED = new Set(['STATE_SUCCEEDED', 'STATE_FAILED', 'STATE_CANCELLED', 'STATE_REJECTED'])
/** The gateway stops, begins or has no room: another one answers, or the same a moment later. */
const PASSING = new Set([429, 503])
const PAUSE_MS = 200

const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE_MS))

function clientOf({ url, token, fetch }: Target) {
  const headers = { authorization: `Bearer ${token}` }
  return createClient<paths>({ baseUrl: url, headers, ...(fetch && { fetch }) })
}

/** Submits a job description. @throws Error with the reason of the refusal */
export async function submitJob(target: Target, manifest: string): Promise<string> {
  // One id for all attempts: the job exists once.
  const body = { requestId: requestId(), manifest }
  const { data, error } = await clientOf(target).POST('/v1/jobs', { body })
  const jobId = data?.job?.jobId
  if (jobId === undefined) throw new Error(error?.error.message ?? 'no answer')
  return jobId
}

/**
 * Follows a job until it is finished: each change once, in order, also when the connection breaks
 * meanwhile or the gateway is started anew. `positions` gets the position of each event.
 */
export async function* followJob(
  target: Target,
  jobId: string,
  positions?: string[],
): AsyncGenerator<Job> {
  const client = clientOf(target)
  let last = ''
  for (;;) {
    try {
      const { response, error } = await client.GET('/v1/jobs/{jobId}:watch', {
        params: { path: { jobId }, ...(last !== '' && { header: { 'Last-Event-ID': last } }) },
        parseAs: 'stream',
      })
      if (PASSING.has(response.status)) {
        await pause()
        continue
      }
      if (error !== undefined) throw new Error(error.error.message)
      if (response.status === 204 || response.body === null) return
      for await (const event of eventsOf(response.body)) {
        if (event.name === 'error') {
          const { error: cause }: { error?: { code?: number } } = JSON.parse(event.data)
          if (PASSING.has(cause?.code ?? 0)) break
          throw new Error(event.data)
        }
        if (event.id !== '') last = event.id
        if (event.name !== 'message') continue
        positions?.push(event.id)
        const { job }: Watched = JSON.parse(event.data)
        if (job === undefined) continue
        yield job
        if (FINISHED.has(job.state ?? '')) return
      }
    } catch (error) {
      // A broken connection; a refusal stays one.
      if (!(error instanceof TypeError)) throw error
    }
    await pause()
  }
}
