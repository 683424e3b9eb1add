import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { makePrivate, readJson, syncDirectory, writeJson } from '../../adapters/os/files.ts'
import {
  compareVersions,
  type DesiredVersion,
  type ExecutionKey,
  keyFromPath,
  keyPath,
} from '../../core/keys.ts'
import {
  type LeftExecution,
  parseExit,
  parseJournal,
  parseStart,
  type StartRecord,
} from '../../core/records.ts'
import { exitOf, type TaskExit } from '../../core/types.ts'
import type { NodeStore } from '../supervisor/node-store.ts'

const EXECUTIONS = 'executions'
const ENDED = 'ended'
/** Logs and files of ended executions are removed above this, oldest first, bytes. */
const ENDED_MAX_BYTES = 2 * 1024 ** 3

/** Removes a job's folder after its last execution. */
function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path)
  } catch {
    // Other executions of the job are still there.
  }
}

/** The node's directory: journal, start and exit records, logs. Durable when a call returns. */
export class FileNodeStore implements NodeStore {
  readonly nodeDir: string

  constructor(nodeDir: string) {
    this.nodeDir = nodeDir
    makePrivate(nodeDir)
    for (const name of [EXECUTIONS, ENDED, 'workspaces']) makePrivate(join(nodeDir, name))
  }

  /** Folder of records and logs of an execution the node holds. */
  directory(key: ExecutionKey): string {
    return join(this.nodeDir, EXECUTIONS, keyPath(key))
  }

  /** Writes sentences of the platform into the log of an execution; a full disk loses them. */
  noteInLog(key: ExecutionKey, sentences: readonly string[]): void {
    const text = sentences.map((sentence) => `[serverless-ai: ${sentence}]\n`).join('')
    try {
      appendFileSync(join(this.directory(key), 'output.log'), text, { mode: 0o600 })
    } catch {
      // A note must not end a task.
    }
  }

  /** The newest log file of an execution, wherever it is kept; undefined when there is none. */
  findLog(key: ExecutionKey): string | undefined {
    return [EXECUTIONS, ENDED]
      .map((root) => join(this.nodeDir, root, keyPath(key), 'output.log'))
      .find((path) => existsSync(path))
  }

  /** True when the execution has ended. */
  hasEnded(key: ExecutionKey): boolean {
    return [EXECUTIONS, ENDED].some((root) =>
      existsSync(join(this.nodeDir, root, keyPath(key), 'exit.json')),
    )
  }

  journal(): DesiredVersion {
    return parseJournal(readJson(join(this.nodeDir, 'desired.json')))
  }

  /** Durable when it returns; a lower version never replaces a higher one. */
  writeJournal(version: DesiredVersion): void {
    if (compareVersions(version, this.journal()) > 0) {
      writeJson(join(this.nodeDir, 'desired.json'), version)
    }
  }

  /** What older sessions left, with an exit for everything: nothing of it runs any more. */
  load(wallMs: number): LeftExecution[] {
    return this.keysBelow(EXECUTIONS).flatMap((key): LeftExecution[] => {
      const directory = this.directory(key)
      const start = parseStart(readJson(join(directory, 'started.json')))
      if (start === undefined) {
        rmSync(directory, { recursive: true, force: true })
        return []
      }
      let exit = parseExit(readJson(join(directory, 'exit.json')))
      if (exit === undefined) {
        exit = exitOf('SUPERVISOR_LOST', 'the supervisor of the node ended', wallMs)
        this.recordExit(key, exit)
      }
      const { pid, startedMs } = start
      return [{ key, start, status: { key, state: 'EXITED', pid, startedMs, exit } }]
    })
  }

  /** True when the execution was started at some time, by this or an older session. */
  wasStarted(key: ExecutionKey): boolean {
    return [EXECUTIONS, ENDED].some((root) =>
      existsSync(join(this.nodeDir, root, keyPath(key), 'started.json')),
    )
  }

  /** Durable before the process exists: an execution is started at most once. */
  recordStart(key: ExecutionKey, start: StartRecord): void {
    const directory = this.directory(key)
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    writeJson(join(directory, 'started.json'), start)
    syncDirectory(dirname(directory))
    syncDirectory(join(this.nodeDir, EXECUTIONS))
  }

  /** Durable before it is reported. */
  recordExit(key: ExecutionKey, exit: TaskExit): void {
    const directory = this.directory(key)
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    writeJson(join(directory, 'exit.json'), exit)
  }

  /** Moves an execution to the ended ones: its record is known to the pool manager. */
  forget(key: ExecutionKey): void {
    const from = this.directory(key)
    if (!existsSync(from)) return
    const to = join(this.nodeDir, ENDED, keyPath(key))
    mkdirSync(dirname(to), { recursive: true, mode: 0o700 })
    rmSync(to, { recursive: true, force: true })
    renameSync(from, to)
    removeIfEmpty(dirname(from))
  }

  /**
   * Removes the oldest ended executions above `keep` or above 2 GiB of logs.
   *
   * @returns directories and users of the tasks they belonged to, to be removed by the caller.
   */
  prune(keep: number): StartRecord[] {
    const ended = this.keysBelow(ENDED).map((key) => {
      const directory = join(this.nodeDir, ENDED, keyPath(key))
      const bytes = readdirSync(directory).reduce(
        (sum, name) => sum + statSync(join(directory, name)).size,
        0,
      )
      return { directory, bytes, endedMs: statSync(directory).mtimeMs }
    })
    ended.sort((a, b) => b.endedMs - a.endedMs)
    let total = 0
    return ended.flatMap(({ directory, bytes }, i) => {
      total += bytes
      if (i < keep && total <= ENDED_MAX_BYTES) return []
      const start = parseStart(readJson(join(directory, 'started.json')))
      rmSync(directory, { recursive: true, force: true })
      removeIfEmpty(dirname(directory))
      return start === undefined ? [] : [start]
    })
  }

  private keysBelow(root: string): ExecutionKey[] {
    const top = join(this.nodeDir, root)
    return readdirSync(top).flatMap((jobId) =>
      readdirSync(join(top, jobId)).flatMap((folder) => {
        const key = keyFromPath(jobId, folder)
        return key === undefined ? [] : [key]
      }),
    )
  }
}
