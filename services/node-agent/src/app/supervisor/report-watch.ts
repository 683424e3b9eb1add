import type { Timer, Timers } from '@serverless-ai/kernel'
import { type ExecutionKey, keyText } from '../../core/keys.ts'
import type { NodeHost, ReportLines } from './node-host.ts'
import type { NodeStore } from './node-store.ts'

/** What looking at report files needs. */
export interface ReportWatchOptions {
  readonly host: NodeHost
  readonly store: Pick<NodeStore, 'noteInLog'>
  readonly timers: Timers
  /** Called at each look, before problems are told. */
  readonly onLook: () => void
  /** Called after each look. */
  readonly onLooked: () => void
}

/**
 * Looks at the report files of tasks that run. A line that is not used is told where its writer
 * looks: in the log of the task.
 */
export class ReportWatch {
  private readonly options: ReportWatchOptions
  private readonly running = new Map<string, { key: ExecutionKey; lines: ReportLines }>()
  private timer: Timer | undefined

  constructor(options: ReportWatchOptions) {
    this.options = options
  }

  /** The lines of a report file. */
  open(file: Parameters<NodeHost['reportLines']>[0]): ReportLines {
    return this.options.host.reportLines(file, () => this.look())
  }

  /** The task runs: its file is looked at from now on. */
  started(key: ExecutionKey, lines: ReportLines): void {
    this.running.set(keyText(key), { key, lines })
    this.arm()
  }

  /** The task has ended: its file is looked at for the last time. */
  ended(key: ExecutionKey): void {
    this.tellProblems(true, keyText(key))
    this.running.delete(keyText(key))
  }

  /** Looks at nothing any more. */
  stop(): void {
    this.timer?.cancel()
  }

  private look(): void {
    this.options.onLook()
    for (const text of this.running.keys()) this.tellProblems(false, text)
    this.options.onLooked()
  }

  private arm(): void {
    const { host, timers } = this.options
    if (host.lookEveryMs === undefined) return
    if (this.timer !== undefined || this.running.size === 0) return
    this.timer = timers.after(host.lookEveryMs, () => {
      this.timer = undefined
      this.look()
      this.arm()
    })
  }

  private tellProblems(atEnd: boolean, text: string): void {
    const found = this.running.get(text)
    if (found === undefined) return
    const problems = found.lines.problems(atEnd)
    if (problems.length > 0) this.options.store.noteInLog(found.key, problems)
  }
}
