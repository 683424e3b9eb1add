import { isFinished, type PlatformClient } from '@serverless-ai/client'
import { type Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import { EXIT } from '../exit.ts'
import type { Io } from '../io.ts'
import { progressText } from '../output/states.ts'
import { count, duration, plain } from '../output/text.ts'
import { factsOf, reasonText } from '../why/reason.ts'
import { followLogs, patienceOf } from './follow-logs.ts'
import { LogPrinter } from './log-printer.ts'

/** Time for the last lines to arrive after the end of the job. */
const LOG_END_MS = 5_000

/** What changed, one line for people; empty = nothing worth a line. */
export function changeText(job: Job): string {
  const facts = factsOf(job.reason)
  const because = facts === undefined ? '' : `; ${reasonText(facts)}`
  const took = duration(Number(job.finishedMs - (job.startedMs || job.submittedMs)))
  const why = job.message === '' ? '' : `: ${plain(job.message)}`
  switch (job.state) {
    case Job_State.QUEUED:
      return `queued${because}`
    case Job_State.ADMITTED: {
      const nodes = [...new Set(job.nodes)]
      const emulated = job.emulatedDevices ? ', emulated devices' : ''
      if (nodes.length === 0) return ''
      const ranks = count(job.tasks, 'task')
      return `generation ${job.generation}: ${ranks} on ${nodes.join(', ')}${emulated}`
    }
    case Job_State.RUNNING:
      return `running (generation ${job.generation})`
    case Job_State.RECOVERING:
      return `recovering${why}${because}`
    case Job_State.SUCCEEDED:
      return `succeeded after ${took}`
    case Job_State.FAILED:
      return `failed after ${took}${why}`
    case Job_State.CANCELLED:
      return 'cancelled'
    case Job_State.REJECTED:
      return `refused${why}`
    default:
      return ''
  }
}

/** Numbers of a waiting job change all the time: only another reason is worth a line. */
const changeKey = (job: Job): string =>
  job.state === Job_State.QUEUED ? `queued ${factsOf(job.reason)?.code ?? ''}` : changeText(job)

/** Exit status that tells how a job ended. */
export const exitOfJob = (job: Job): number =>
  job.state === Job_State.SUCCEEDED ? EXIT.ok : EXIT.jobFailed

/** True when its tasks may have written something. */
export const hasLogs = (job: Job): boolean =>
  (job.generation > 0 || (job.scale?.granted ?? 0) > 0) &&
  job.state !== Job_State.ADMITTED &&
  job.state !== Job_State.QUEUED

/**
 * Follows a job to its end: changes to standard error, logs of all ranks to standard output (with
 * `json` to standard error too, so that the answer stands alone).
 */
export async function followJob(init: {
  platform: PlatformClient
  io: Io
  jobId: string
  json?: boolean
}): Promise<Job> {
  const { platform, io, jobId } = init
  const logs = new AbortController()
  const leave = () => logs.abort()
  io.signal.addEventListener('abort', leave, { once: true })
  let last: Job | undefined
  let reading: Promise<void> | undefined
  let told = ''
  const waits = new Set<string>()
  try {
    for await (const job of platform.jobs.watch(jobId, { signal: io.signal, ...patienceOf(io) })) {
      last = job
      const text = changeText(job)
      const key = changeKey(job)
      if (text !== '' && key !== told && !waits.has(key)) io.err(`── ${text}\n`)
      // While others come and go the reasons alternate: each is told once in a wait.
      if (job.state === Job_State.QUEUED) waits.add(key)
      else waits.clear()
      told = key === '' ? told : key
      if (reading === undefined && hasLogs(job)) {
        const { err } = io
        const printer = new LogPrinter(init.json === true ? { out: err, err } : io, {
          prefix: job.tasks > 1,
        })
        reading = followLogs({
          platform,
          io,
          request: { jobId },
          print: (chunk) => printer.print(chunk),
          signal: logs.signal,
          ended: () => last !== undefined && isFinished(last),
        }).finally(() => printer.end())
      }
    }
    const timer = io.timers.after(LOG_END_MS, leave)
    await reading
    timer.cancel()
  } finally {
    leave()
    io.signal.removeEventListener('abort', leave)
    await reading?.catch(() => undefined)
  }
  if (last === undefined) throw new TypeError('a watch tells the job at least once')
  return last
}

/** The last lines for people: result and progress. */
export function endText(job: Job): string {
  const result = job.resultJson === '' ? '' : `result ${plain(job.resultJson)}\n`
  const progress = progressText(job)
  return progress === '' || result !== '' ? result : `${progress}\n`
}
