import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { Job_State } from '@serverless-ai/contracts/job/v1/job'
import { RpcError } from '@serverless-ai/kernel'
import { stringify } from 'yaml'
import { getJob, requestId, submit } from '../support/digits.ts'
import type { Clients } from '../support/platform.ts'

/** A job the platform acknowledged. */
export interface Acknowledged {
  readonly jobId: string
  readonly requestId: string
  readonly manifest: string
  readonly tasks: number
}

/** Answers that are final: everything else is asked again with the same request id. */
const FINAL: ReadonlySet<string> = new Set([
  'INVALID_ARGUMENT',
  'FAILED_PRECONDITION',
  'ALREADY_EXISTS',
  'NOT_FOUND',
  'OUT_OF_RANGE',
  'PERMISSION_DENIED',
  'UNAUTHENTICATED',
  'DATA_LOSS',
])
const SUBMITTERS = 3
const RETRY_MS = 150
const SUBMIT_EVERY_MS = 100
const POLL_MS = 300

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
const isFinal = (error: unknown): boolean => error instanceof RpcError && FINAL.has(error.code)

/**
 * The observer outside: keeps a number of small real jobs under way, asks again with the same
 * request id until the platform acknowledges, and remembers what was acknowledged.
 */
export class Recorder {
  readonly acknowledged: Acknowledged[] = []
  readonly breaches: string[] = []
  /** Requests that had to be sent more than once. */
  repeated = 0
  readonly #clients: () => Clients
  readonly #startFile: string
  readonly #seconds: number
  readonly #live = new Set<string>()
  #made = 0
  #asking = 0
  #stopping = false
  #abandoned = false
  #done: Promise<void> = Promise.resolve()

  /** `startFile`: where each start of a task leaves a line; `seconds`: how long a task takes. */
  constructor(init: { clients: () => Clients; startFile: string; seconds: number }) {
    this.#clients = init.clients
    this.#startFile = init.startFile
    this.#seconds = init.seconds
    writeFileSync(this.#startFile, '')
    // Tasks run under other users.
    chmodSync(this.#startFile, 0o666)
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
      const left = [...this.#live].join(', ')
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
        this.#live.add(job.jobId)
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
      for (const jobId of this.#live) {
        if (await this.#hasEnded(jobId)) this.#live.delete(jobId)
      }
      await pause(POLL_MS)
    }
  }

  async #submit(): Promise<Acknowledged | undefined> {
    const number = ++this.#made
    const tasks = number % 4 === 0 ? 2 : 1
    const manifest = this.#manifest(number, tasks)
    const id = requestId()
    for (let attempt = 1; ; attempt++) {
      try {
        const jobId = await submit(this.#clients(), manifest, id)
        if (attempt > 1) this.repeated += 1
        return { jobId, requestId: id, manifest, tasks }
      } catch (error) {
        if (isFinal(error)) {
          this.breaches.push(`job ${number} was refused: ${String(error)}`)
          return undefined
        }
        if (this.#abandoned) return undefined
        await pause(RETRY_MS)
      }
    }
  }

  /**
   * Every fourth job loses its first generation to a SIGKILL from outside, so that recovery and its
   * timers are met too.
   */
  #manifest(number: number, tasks: number): string {
    const start = `echo "$SAI_JOB_ID $SAI_GENERATION $RANK" >> ${this.#startFile}`
    const die = number % 4 === 1 ? '[ "$SAI_GENERATION" = 1 ] && kill -9 $$;' : ''
    return stringify({
      apiVersion: 'serverlessai.job/v1',
      kind: 'Job',
      metadata: { name: `kill-${number}` },
      spec: {
        queue: 'team-a',
        tasks,
        command: ['sh', '-c', `${start}; ${die} sleep ${this.#seconds}`],
        resources: { devices: 0, cpu: '20m', memory: '16Mi' },
        waitForCapacity: true,
        retry: { maxRestarts: 10, backoff: '200ms' },
      },
    })
  }

  async #hasEnded(jobId: string): Promise<boolean> {
    try {
      const { state, message } = await getJob(this.#clients(), jobId)
      if (state < Job_State.SUCCEEDED) return false
      if (state !== Job_State.SUCCEEDED) {
        this.breaches.push(`${jobId} ended in state ${state}: ${message}`)
      }
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
    const clients = this.#clients()
    for (const job of this.acknowledged) {
      try {
        const again = await submit(clients, job.manifest, job.requestId)
        if (again !== job.jobId) breaches.push(`${job.jobId}: the request again gave ${again}`)
      } catch (error) {
        breaches.push(`${job.jobId}: the request again failed: ${String(error)}`)
      }
    }
    return breaches
  }

  /**
   * Sentences about jobs that the platform knows of, whoever knows they were acknowledged, and that
   * have not ended.
   */
  async endBreaches(): Promise<string[]> {
    const breaches: string[] = []
    const { jobs } = this.#clients()
    let pageToken = ''
    do {
      const request = { pageSize: 500, pageToken, minPosition: '', states: [], queue: '' }
      const page = await jobs.listJobs(request)
      for (const { jobId, state } of page.jobs) {
        if (state < Job_State.SUCCEEDED) breaches.push(`${jobId} is in state ${state} for ever`)
      }
      pageToken = page.nextPageToken
    } while (pageToken !== '')
    return breaches
  }

  /** Sentences about tasks that were started twice in one generation, or not at all. */
  startBreaches(): string[] {
    const lines = existsSync(this.#startFile)
      ? readFileSync(this.#startFile, 'utf8').split('\n').filter(Boolean)
      : []
    const seen = new Set<string>()
    const breaches: string[] = []
    for (const line of lines) {
      if (seen.has(line)) breaches.push(`started twice (job, generation, rank): ${line}`)
      seen.add(line)
    }
    const jobs = new Set(lines.map((line) => line.split(' ')[0]))
    for (const { jobId } of this.acknowledged) {
      if (!jobs.has(jobId)) breaches.push(`${jobId} never started`)
    }
    return breaches
  }
}
