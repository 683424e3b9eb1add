import type { Job, WatchJobResponse } from '@serverless-ai/contracts/job/v1/job'
import { Job_State } from '@serverless-ai/contracts/job/v1/job'
import { type Clock, type Randomness, RpcError, type Timers } from '@serverless-ai/kernel'
import { isAway, pauseMs, type RetryPolicy } from '@serverless-ai/rpc'
import { untilSilent } from './until-silent.ts'

/** The server sends a heartbeat every 10 s: after this silence the stream is opened anew, ms. */
const SILENCE_MS = 25_000

const FINISHED: ReadonlySet<Job_State> = new Set<Job_State>([
  Job_State.SUCCEEDED,
  Job_State.FAILED,
  Job_State.CANCELLED,
  Job_State.REJECTED,
])

/** True when nothing about the job can change any more. */
export const isFinished = (job: Job): boolean => FINISHED.has(job.state)

/** Opens the stream after a position; empty = from now. */
export type OpenWatch = (
  resumeAfter: string,
  signal: AbortSignal,
) => AsyncIterable<WatchJobResponse>

/** How long a watch that was connected once is tried again. */
export interface WatchPatience {
  /** Time without an answer after which it gives up, ms. Default: the attempts of the policy. */
  readonly giveUpMs?: number
  /** Nobody answers: called once for each outage. A stream that is back at once is none. */
  readonly onLost?: () => void
}

interface WatchPorts extends WatchPatience {
  readonly clock: Clock
  readonly timers: Timers
  readonly randomness: Randomness
  readonly policy: RetryPolicy
  readonly signal?: AbortSignal
}

/**
 * The job as it is, then each change, until it is finished. Goes on where it was after a lost
 * connection; gives up when nobody answers for the attempts of the policy, or for `giveUpMs`.
 */
export async function* watchJob(open: OpenWatch, ports: WatchPorts): AsyncGenerator<Job> {
  const { clock, timers, randomness, policy, signal, giveUpMs, onLost } = ports
  let position = ''
  let attempt = 0
  let lostAtMs = 0
  const isOver = () =>
    giveUpMs === undefined || position === ''
      ? attempt >= policy.attempts
      : clock.monotonicMs() - lostAtMs >= giveUpMs
  for (;;) {
    try {
      const stream = untilSilent((s) => open(position, s), {
        timers,
        signal,
        silenceMs: SILENCE_MS,
      })
      for await (const message of stream) {
        attempt = 0
        position = message.position
        if (message.job === undefined) continue
        yield message.job
        if (isFinished(message.job)) return
      }
      // The server ended the stream without an end of the job: it forgot the job, or is stopping.
      throw new RpcError({ code: 'UNAVAILABLE', reason: 'WATCH_ENDED', message: 'the watch ended' })
    } catch (error) {
      attempt += 1
      if (attempt === 1) lostAtMs = clock.monotonicMs()
      if (!isAway(error) || isOver() || signal?.aborted) throw error
      if (attempt === 2) onLost?.()
      await timers.sleep(pauseMs({ attempt, policy, randomness, error }), signal)
    }
  }
}
