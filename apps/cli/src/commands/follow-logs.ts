import type { PlatformClient } from '@serverless-ai/client'
import type { ReadLogsResponse } from '@serverless-ai/contracts/pool/v1/pool'
import { RpcError } from '@serverless-ai/kernel'
import type { Io } from '../io.ts'

/** First pause before logs are asked for again, ms; it doubles while nobody answers. */
const AGAIN_MS = 300
/** Longest pause, ms. */
const AGAIN_MOST_MS = 2_000
/** Lines of each rank that come again after a lost connection. */
const REPEAT_LINES = 20

/** Which logs. */
export interface LogRequest {
  readonly jobId: string
  readonly rank?: number
  readonly generation?: number
  readonly tailLines?: number
}

/** Time without an answer after which a follower gives up, ms. */
const GIVE_UP_MS = 300_000

/** How long a watch goes on without an answer, and the line that says so. */
export const patienceOf = ({ err }: Pick<Io, 'err'>) => ({
  giveUpMs: GIVE_UP_MS,
  onLost: () => err('── connection lost, trying again\n'),
})

interface FollowLogs {
  readonly platform: { readonly jobs: Pick<PlatformClient['jobs'], 'logs'> }
  readonly io: Pick<Io, 'err' | 'timers' | 'clock'>
  readonly request: LogRequest
  readonly print: (chunk: ReadLogsResponse) => void
  readonly signal: AbortSignal
  /** True once the job has ended. */
  readonly ended: () => boolean
  /** Nobody else watches the platform: say that it is away, give up in the end. */
  readonly alone?: boolean
}

const isLater = (error: unknown): error is RpcError =>
  error instanceof RpcError && (error.code === 'NOT_FOUND' || error.code === 'UNAVAILABLE')

/** An outage seen by a reader of logs. */
class Outage {
  readonly #io: Pick<Io, 'err' | 'clock'>
  #attempts = 0
  #sinceMs = 0

  constructor(io: Pick<Io, 'err' | 'clock'>) {
    this.#io = io
  }

  /** It is over. */
  ended(): void {
    this.#attempts = 0
  }

  /** Nobody answered: says so once, throws when it lasts too long. */
  failed(error: RpcError): void {
    const nowMs = this.#io.clock.monotonicMs()
    this.#attempts += 1
    if (this.#attempts === 1) this.#sinceMs = nowMs
    if (nowMs - this.#sinceMs >= GIVE_UP_MS) throw error
    if (this.#attempts === 2) patienceOf(this.#io).onLost()
  }
}

/** Reads the logs while the job runs; waits where the platform has none yet. */
export async function followLogs(init: FollowLogs): Promise<void> {
  const { platform, io, request, print, signal, ended, alone = false } = init
  const outage = new Outage(io)
  let started = false
  let interrupted = false
  let pauseMs = AGAIN_MS
  for (;;) {
    try {
      // After a lost connection only the end is read again: lines may repeat, none is missing.
      const again = started ? { tailLines: REPEAT_LINES } : {}
      const chunks = platform.jobs.logs({ ...request, ...again, follow: true, signal })
      for await (const chunk of chunks) {
        if (interrupted) io.err('── the log was interrupted; its last lines come again\n')
        outage.ended()
        started = true
        interrupted = false
        pauseMs = AGAIN_MS
        print(chunk)
      }
      return
    } catch (error) {
      if (signal.aborted) return
      if (!isLater(error)) throw error
      if (ended()) return started ? undefined : readWhatIsThere(init)
      if (error.code === 'NOT_FOUND') outage.ended()
      else if (alone) outage.failed(error)
      interrupted = started
      await io.timers.sleep(pauseMs, signal).catch(() => undefined)
      // Logs that are not there yet come at any moment.
      if (started) pauseMs = Math.min(AGAIN_MOST_MS, 2 * pauseMs)
      if (signal.aborted) return
    }
  }
}

async function readWhatIsThere({ platform, request, print, signal }: FollowLogs): Promise<void> {
  try {
    for await (const chunk of platform.jobs.logs({ ...request, signal })) print(chunk)
  } catch (error) {
    // A job that ended before it ran has none.
    if (!isLater(error) && !signal.aborted) throw error
  }
}
