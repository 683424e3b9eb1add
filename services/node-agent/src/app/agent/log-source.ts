import type { ExecutionKey } from '../../core/keys.ts'

/** What of a log is wanted. */
export interface LogQuery {
  readonly key: ExecutionKey
  /** Last lines; 0 = everything kept. */
  readonly tailLines: number
  /** Go on until the execution has ended. */
  readonly follow: boolean
}

/** Where the logs of executions are read. */
export interface LogSource {
  /** A log in pieces of at most 64 KiB, oldest byte first. Rejects when there is none. */
  read(query: LogQuery, signal: AbortSignal): AsyncIterable<Uint8Array>
}
