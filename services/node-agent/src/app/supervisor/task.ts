import type { Clock, Timers } from '@serverless-ai/kernel'
import { taskEnvironment } from '../../core/environment.ts'
import { messageOf } from '../../core/errors.ts'
import { type ExecutionKey, keyText } from '../../core/keys.ts'
import type { StopCause } from '../../core/node.ts'
import { type Assignment, exitOf, type TaskExit } from '../../core/types.ts'
import type { DurableWrites } from './durable-writes.ts'
import type { NodeStore } from './node-store.ts'
import type { TaskDirectories } from './task-paths.ts'
import type {
  LaunchedProcess,
  PreparedProcess,
  ProcessEnd,
  TaskProcesses,
} from './task-processes.ts'

/** What starting a task needs from its supervisor. */
export interface TaskEnvironment {
  readonly clock: Clock
  readonly timers: Timers
  readonly store: NodeStore
  readonly writes: DurableWrites
  readonly processes: TaskProcesses
  /** Unique on the machine, starts every marker. */
  readonly nodeMark: string
  readonly session: string
  readonly nodeBinDir: string
  /** Called synchronously right before the start; an answer says why it must not happen. */
  readonly mayStart: () => StopCause | undefined
}

/** A task that runs. */
export interface RunningTask {
  readonly pid: number
  readonly exit?: never
  /** SIGTERM to the group now, SIGKILL to everything of it after the grace; 0 = at once. */
  stop(cause: StopCause, graceMs: number): void
  /** The process and all it started are gone, its log is complete. */
  readonly ended: Promise<TaskExit>
}

/** Why a task was not started. */
export interface NotStarted {
  readonly pid: 0
  readonly exit: TaskExit
}

/** Marker of the processes of an execution; the node and the session come first. */
export function markerOf(nodeMark: string, session: string, key: ExecutionKey): string {
  return `${nodeMark}:${session}:${keyText(key)}`
}

/** Starts a task, once. */
export async function startTask(
  env: TaskEnvironment,
  assignment: Assignment,
  directories: TaskDirectories,
): Promise<RunningTask | NotStarted> {
  const { processes, store, clock, nodeBinDir } = env
  const { key } = assignment
  const { uid, paths } = directories
  const marker = markerOf(env.nodeMark, env.session, key)
  const variables = taskEnvironment({ nodeBinDir, paths, env: assignment.env, marker })
  const spec = { key, assignment, directories, variables, marker }
  const problem = await processes.check(spec)
  if (problem !== undefined) return notStarted(problem.cause, problem.message, clock)
  if (store.wasStarted(key)) {
    return notStarted('SUPERVISOR_LOST', 'it was started before and is not run again', clock)
  }
  const owner = uid === undefined ? {} : { uid }
  const record = { startedMs: clock.wallMs(), taskDir: paths.taskDir, ...owner }
  let prepared: PreparedProcess | undefined
  try {
    await store.recordStart(key, { pid: 0, startTime: '', ...record })
    prepared = processes.prepare(spec)
    const late = env.mayStart()
    if (late !== undefined) throw new StartRefused(late)
    const launched = await prepared.launch()
    const { pid, startTime } = launched
    // It runs, whatever the disk says: only one way to find it as a leftover is lost without.
    env.writes.once('process id', () => store.recordStart(key, { pid, startTime, ...record }))
    return new Task(env.timers, launched)
  } catch (error) {
    prepared?.discard()
    const cause = error instanceof StartRefused ? error.reason : 'START_FAILED'
    return notStarted(cause, messageOf(error), clock)
  }
}

function notStarted(cause: TaskExit['cause'], message: string, clock: Clock): NotStarted {
  return { pid: 0, exit: exitOf(cause, message, clock.wallMs()) }
}

/** The start came too late. */
class StartRefused extends Error {
  readonly reason: StopCause
  constructor(reason: StopCause) {
    super(`not started: ${STOP_TEXT[reason]}`)
    this.reason = reason
  }
}

class Task implements RunningTask {
  declare readonly exit?: never
  readonly pid: number
  readonly ended: Promise<TaskExit>
  private readonly timers: Timers
  private readonly process: LaunchedProcess
  private cause: StopCause | undefined
  private gone = false

  constructor(timers: Timers, launched: LaunchedProcess) {
    this.timers = timers
    this.process = launched
    this.pid = launched.pid
    this.ended = launched.ended.then((end) => {
      this.gone = true
      return this.exitOf(end)
    })
  }

  stop(cause: StopCause, graceMs: number): void {
    // A lapsed lease is the stronger reason; otherwise the first one counts.
    if (this.cause === undefined || cause === 'LEASE_LAPSED') this.cause = cause
    if (this.gone) return
    if (graceMs <= 0) {
      this.process.kill()
      return
    }
    this.process.terminate()
    this.timers.after(graceMs, () => {
      if (!this.gone) this.process.kill()
    })
  }

  private exitOf({ code, signal, atMs, outOfMemory, logProblem }: ProcessEnd): TaskExit {
    const cause = this.cause ?? (outOfMemory ? 'OUT_OF_MEMORY' : 'EXITED')
    const ended = signal === '' ? `ended with code ${code}` : `was ended by ${signal}`
    const why = this.cause === undefined ? '' : `; ${STOP_TEXT[this.cause]}`
    const log = logProblem === '' ? '' : `; its log is incomplete: ${logProblem}`
    const message = `the process ${ended}${why}${log}`
    return { cause, exitCode: code ?? -1, signal, message, atMs }
  }
}

const STOP_TEXT: Readonly<Record<StopCause, string>> = {
  STOPPED: 'it was no longer wanted',
  LEASE_LAPSED: 'the lease of the node lapsed and the task is exclusive',
  NODE_SHUTDOWN: 'the node is being shut down',
}
