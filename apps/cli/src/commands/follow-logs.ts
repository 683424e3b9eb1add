import type { PlatformClient } from '@serverless-ai/client'
import type { ReadLogsResponse } from '@serverless-ai/contracts/pool/v1/pool'
import { RpcError } from '@serverless-ai/kernel'
import type { Io } from '../io.ts'

const AGAIN_MS = 300
/** Lines of each rank that come again after a lost connection. */
const REPEAT_LINES = 20

/** Which logs. */
export interface LogRequest {
  readonly jobId: string
  readonly rank?: number
  readonly generation?: number
  readonly tailLines?: number
}

interface FollowLogs {
  readonly platform: PlatformClient
  readonly io: Io
  readonly request: LogRequest
  readonly print: (chunk: ReadLogsResponse) => void
  readonly signal: AbortSignal
  /** True once the job has ended. */
  readonly ended: () => boolean
}

const isLater = (error: unknown): boolean =>
  error instanceof RpcError && (error.code === 'NOT_FOUND' || error.code === 'UNAVAILABLE')

/** Reads the logs while the job runs; waits where the platform has none yet. */
export async function followLogs(init: FollowLogs): Promise<void> {
  const { platform, io, request, print, signal, ended } = init
  let started = false
  for (;;) {
    try {
      // After a lost connection only the end is read again: lines may repeat, none is missing.
      const again = started ? { tailLines: REPEAT_LINES } : {}
      const chunks = platform.jobs.logs({ ...request, ...again, follow: true, signal })
      for await (const chunk of chunks) {
        started = true
        print(chunk)
      }
      return
    } catch (error) {
      if (signal.aborted) return
      if (!isLater(error)) throw error
      if (ended()) return started ? undefined : readWhatIsThere(init)
      if (started) io.err('── the log was interrupted; the last lines come again\n')
      await io.timers.sleep(AGAIN_MS, signal).catch(() => undefined)
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
