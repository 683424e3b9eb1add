import type { ReportLine } from '../../core/lines.ts'
import type { LeftExecution } from '../../core/records.ts'
import type { Assignment } from '../../core/types.ts'
import type { TaskDirectories } from './task-paths.ts'
import type { TaskProcesses } from './task-processes.ts'

/** The report file of an execution, as far as it has to be told. */
export interface ReportLines {
  /** The task has ended: nothing will be appended. */
  end(): void
  /** True when there is something after what was acknowledged. */
  hasMore(): boolean
  /** True when there is something after what was offered last. */
  hasUnoffered(): boolean
  /** Lines after the acknowledged ones. Call {@link accept} when they are acknowledged. */
  offer(): readonly ReportLine[]
  /** What was offered last is acknowledged. */
  accept(): void
  /**
   * What is wrong with lines that were not looked at before, a sentence each.
   *
   * @param atEnd nothing will be appended: a last line without a newline counts
   */
  problems(atEnd: boolean): readonly string[]
}

/** The machine under a supervisor: processes, directories, report files. */
export interface NodeHost {
  /** For people: what keeps tasks apart here. */
  readonly isolation: string
  /** Unique on the machine and stable for the node's directory. */
  readonly nodeMark: string
  readonly processes: TaskProcesses
  /**
   * How often report files are looked at while tasks run, ms; undefined = never, the machine calls
   * `grown` instead.
   */
  readonly lookEveryMs: number | undefined
  /** Kills what older sessions left running; how many processes that were. */
  clearLeftovers(left: readonly LeftExecution[]): Promise<number>
  /** Makes the directories of an execution. Rejects when that is not possible. */
  directoriesFor(assignment: Assignment): Promise<TaskDirectories>
  /** Replaces the file of notices of a task as a whole. */
  writeNotice(directories: TaskDirectories, text: string): Promise<void>
  /** Removes the directory of a task that is not kept any longer. */
  removeDirectory(taskDir: string, uid: number | undefined): Promise<void>
  /** @param grown called when there may be new lines, where the machine notices it itself */
  reportLines(
    file: { path: string; uid: number | undefined; checkpointDir: string },
    grown: () => void,
  ): ReportLines
}
