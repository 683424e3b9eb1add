import type { DesiredVersion, ExecutionKey } from '../../core/keys.ts'
import type { LeftExecution, StartRecord } from '../../core/records.ts'
import type { TaskExit } from '../../core/types.ts'

/** A write: durable when the call returns, or when its promise resolves. A failure is thrown. */
export type Write = void | Promise<void>

/** What a supervisor keeps across its own death. One supervisor uses it at a time. */
export interface NodeStore {
  /** Highest version of a desired set that was applied. */
  journal(): DesiredVersion
  /** A lower version never replaces a higher one. */
  writeJournal(version: DesiredVersion): Write
  /** What older sessions left, with an exit for everything: nothing of it runs any more. */
  load(wallMs: number): readonly LeftExecution[]
  /** True when the execution was started at some time, by this or an older session. */
  wasStarted(key: ExecutionKey): boolean
  /** Durable before the process exists: an execution is started at most once. */
  recordStart(key: ExecutionKey, start: StartRecord): Write
  /** Durable before it is reported. */
  recordExit(key: ExecutionKey, exit: TaskExit): Write
  /** The execution's record is known to the pool manager: it is kept as an ended one. */
  forget(key: ExecutionKey): Write
  /**
   * Removes the oldest ended executions above `keep`.
   *
   * @returns the starts of those, whose directories the caller removes.
   */
  prune(keep: number): readonly StartRecord[]
  /** Writes sentences of the platform into the log of an execution; may lose them. */
  noteInLog(key: ExecutionKey, sentences: readonly string[]): void
}
