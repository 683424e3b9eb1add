import { isFinished, type PlatformClient } from '@serverless-ai/client'
import { type Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import { RpcError } from '@serverless-ai/kernel'
import { EXIT } from '../exit.ts'
import type { Io } from '../io.ts'
import { progressText } from '../output/states.ts'
import { count, duration, plain } from '../output/text.ts'
import { factsOf, reasonText } from '../why/reason.ts'
import { LogPrinter } from './log-printer.ts'

const AGAIN_MS = 300
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

/** Exit status that tells how a job ended. */
export const exitOfJob = (job: Job): number =>
  job.state === Job_State.SUCCEEDED ? EXIT.ok : EXIT.jobFailed

const hasLogs = (job: Job): boolean =>
  job.generation > 0 && job.state !== Job_State.ADMITTED && job.state !== Job_State.QUEUED

const isLater = (error: unknown): boolean =>
  error instanceof RpcError && (error.code === 'NOT_FOUND' || error.code === 'UNAVAILABLE')

/** Reads the logs while the job runs; starts over where the platform has none yet. */
async function followLogs(init: {
  platform: PlatformClient
  io: Io
  printer: LogPrinter
  job: Job
  signal: AbortSignal
  ended: () => boolean
}): Promise<void> {
  const { platform, io, printer, job, signal, ended } = init
  let lost = false
  for (;;) {
    try {
      // After a lost connection only the end is read again: lines may repeat, none is missing.
      const tailLines = lost ? 20 : 0
      const chunks = platform.jobs.logs({ jobId: job.jobId, follow: true, tailLines, signal })
      for await (const chunk of chunks) {
        lost = true
        printer.print(chunk)
      }
      return
    } catch (error) {
      if (signal.aborted || !isLater(error) || (ended() && lost)) return
      if (ended()) return readWhatIsThere(init)
      if (lost) io.err('── the log was interrupted; the last lines come again\n')
      await io.timers.sleep(AGAIN_MS, signal).catch(() => undefined)
      if (signal.aborted) return
    }
  }
}

async function readWhatIsThere(init: {
  platform: PlatformClient
  printer: LogPrinter
  job: Job
  signal: AbortSignal
}): Promise<void> {
  try {
    const { jobId } = init.job
    for await (const chunk of init.platform.jobs.logs({ jobId, signal: init.signal })) {
      init.printer.print(chunk)
    }
  } catch (error) {
    if (!isLater(error) && !init.signal.aborted) throw error
  }
}

/** Follows a job to its end: changes to standard error, logs of all ranks to standard output. */
export async function followJob(init: {
  platform: PlatformClient
  io: Io
  jobId: string
}): Promise<Job> {
  const { platform, io, jobId } = init
  const logs = new AbortController()
  const leave = () => logs.abort()
  io.signal.addEventListener('abort', leave, { once: true })
  let last: Job | undefined
  let reading: Promise<void> | undefined
  let told = ''
  try {
    for await (const job of platform.jobs.watch(jobId, { signal: io.signal })) {
      last = job
      const text = changeText(job)
      if (text !== '' && text !== told) io.err(`── ${text}\n`)
      told = text === '' ? told : text
      if (reading === undefined && hasLogs(job)) {
        const printer = new LogPrinter(io, { prefix: job.tasks > 1 })
        const ended = () => last !== undefined && isFinished(last)
        reading = followLogs({ platform, io, printer, job, signal: logs.signal, ended }).finally(
          () => printer.end(),
        )
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
