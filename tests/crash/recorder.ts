import { setTimeout as pause } from 'node:timers/promises'
import { Job_State } from '@serverless-ai/contracts/job/v1/job'
import { getJob, requestId, submit } from '../support/digits.ts'
import { isFinal } from '../support/final.ts'
import type { Clients } from '../support/platform.ts'
import { type Workload, workloadOf } from './workload.ts'

/** A job the platform acknowledged. */
export interface Acknowledged extends Workload {
  readonly jobId: string
  readonly requestId: string
}

const SUBMITTERS = 3
const RETRY_MS = 150
const SUBMIT_EVERY_MS = 100
const POLL_MS = 300

function reportedValue(resultJson: string): unknown {
  return resultJson === '' ? undefined : JSON.parse(resultJson).value
}

/**
 * The observer outside: keeps a number of small real jobs under way, asks again with the same
 * request id until the platform acknowledges, and remembers what was acknowledged.
 */
export class Recorder {
  readonly acknowledged: Acknowledged[] = []
  readonly breaches: string[] = []
  /** Requests that had to be sent more than once. */
  repeated = 0
  /** Jobs that ended in a later generation than the first. */
  recovered = 0
  readonly #clients: Clients
  readonly #workload: { readonly journal: string; readonly stepMs: number }
  readonly #live = new Map<string, Acknowledged>()
  #made = 0
  #asking = 0
  #stopping = false
  #abandoned = false
  #done: Promise<void> = Promise.resolve()

  /** `journal`: where tasks leave their lines; `stepMs`: how long each of their steps takes. */
  constructor(clients: Clients, workload: { journal: string; stepMs: number }) {
    this.#clients = clients
    this.#workload = workload
  }

  /** Acknowledged jobs that have not ended. */
  get running(): number {
    return this.#live.size
  }

  /**
   * Keeps `jobs` jobs under way, and up to twice as many while the platform does not get on with
   * them.
   */
  start(jobs: number): void {
    const submitters = Array.from({ length: SUBMITTERS }, () => this.#submitter(2 * jobs))
    const submitting = Promise.all(submitters).then(() => {})
    this.#done = Promise.all([submitting, this.#watcher(submitting)]).then(() => {})
  }

  /** No new jobs; resolves when all acknowledged ones have ended. */
  async finish(timeoutMs: number): Promise<void> {
    this.#stopping = true
    const late = pause(timeoutMs).then(() => true)
    if (await Promise.race([this.#done.then(() => false), late])) {
      const asked = `${this.#asking} requests not acknowledged`
      const left = [...this.#live.keys()].join(', ')
      this.breaches.push(`after ${timeoutMs} ms: ${asked}; jobs not ended: ${left}`)
    }
  }

  /** Gives up on everything that has not been acknowledged or has not ended. */
  abandon(): void {
    this.#stopping = true
    this.#abandoned = true
  }

  async #submitter(most: number): Promise<void> {
    while (!this.#stopping) {
      if (this.#live.size < most) {
        this.#asking += 1
        const job = await this.#submit()
        this.#asking -= 1
        if (job === undefined) continue
        this.acknowledged.push(job)
        this.#live.set(job.jobId, job)
      }
      await pause(SUBMIT_EVERY_MS)
    }
  }

  /** Looks after the jobs under way until all are over and no more come. */
  async #watcher(submitting: Promise<void>): Promise<void> {
    let more = true
    void submitting.then(() => {
      more = false
    })
    while (!this.#abandoned && (more || this.#live.size > 0)) {
      for (const job of this.#live.values()) {
        if (await this.#hasEnded(job)) this.#live.delete(job.jobId)
      }
      await pause(POLL_MS)
    }
  }

  async #submit(): Promise<Acknowledged | undefined> {
    const job = workloadOf(++this.#made, this.#workload)
    const id = requestId()
    for (let attempt = 1; ; attempt++) {
      try {
        const jobId = await submit(this.#clients, job.manifest, id)
        if (attempt > 1) this.repeated += 1
        return { ...job, jobId, requestId: id }
      } catch (error) {
        if (isFinal(error)) {
          this.breaches.push(`job ${job.number} was refused: ${String(error)}`)
          return undefined
        }
        if (this.#abandoned) return undefined
        await pause(RETRY_MS)
      }
    }
  }

  async #hasEnded({ jobId, result }: Acknowledged): Promise<boolean> {
    try {
      const { state, message, resultJson, generation } = await getJob(this.#clients, jobId)
      if (state < Job_State.SUCCEEDED) return false
      const value = reportedValue(resultJson)
      if (state !== Job_State.SUCCEEDED) {
        this.breaches.push(`${jobId} ended in state ${state}: ${message}`)
      } else if (value !== result) {
        this.breaches.push(`${jobId} came to ${String(value)}, undisturbed it comes to ${result}`)
      }
      if (generation > 1) this.recovered += 1
      return true
    } catch (error) {
      if (!isFinal(error)) return false
      this.breaches.push(`acknowledged ${jobId} is not there: ${String(error)}`)
      return true
    }
  }

  /** Sentences about acknowledged requests whose first answer is not given again. */
  async repeatAll(): Promise<string[]> {
    const breaches: string[] = []
    for (const job of this.acknowledged) {
      try {
        const again = await submit(this.#clients, job.manifest, job.requestId)
        if (again !== job.jobId) breaches.push(`${job.jobId}: the request again gave ${again}`)
      } catch (error) {
        breaches.push(`${job.jobId}: the request again failed: ${String(error)}`)
      }
    }
    return breaches
  }

  /**
   * Sentences about jobs that the platform knows of and that have not ended, and about jobs that
   * came from no acknowledged request. Call it when no request is open.
   */
  async listBreaches(): Promise<string[]> {
    const breaches: string[] = []
    const known = new Set(this.acknowledged.map(({ jobId }) => jobId))
    let pageToken = ''
    do {
      const request = { pageSize: 500, pageToken, minPosition: '', states: [], queue: '' }
      const page = await this.#clients.jobs.listJobs(request)
      for (const { jobId, state } of page.jobs) {
        if (state < Job_State.SUCCEEDED) breaches.push(`${jobId} is in state ${state} for ever`)
        if (!known.has(jobId)) breaches.push(`${jobId} is a second job of some request`)
      }
      pageToken = page.nextPageToken
    } while (pageToken !== '')
    return breaches
  }
}
