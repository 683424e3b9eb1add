import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { Clock, Timers } from '@serverless-ai/kernel'
import type { Cgroups, TaskCgroup } from '../adapters/os/cgroup.ts'
import { messageOf } from '../adapters/os/files.ts'
import { type Isolation, launch } from '../adapters/os/launch.ts'
import { lookupCommand } from '../adapters/os/lookup.ts'
import {
  closeWriteEnd,
  type OutputPipe,
  openOutputPipe,
  pumpOutput,
  RotatingFile,
} from '../adapters/os/output.ts'
import { isPortFree } from '../adapters/os/port-probe.ts'
import { killAll, signal, startTimeOf } from '../adapters/os/proc.ts'
import { taskEnvironment } from '../core/environment.ts'
import { type ExecutionKey, keyText } from '../core/keys.ts'
import type { StopCause } from '../core/node.ts'
import { type Assignment, exitOf, type TaskExit } from '../core/types.ts'
import type { NodeStore } from './store.ts'
import type { TaskDirectories } from './task-directories.ts'

/** What starting a task needs from its supervisor. */
export interface TaskEnvironment {
  readonly clock: Clock
  readonly timers: Timers
  readonly store: NodeStore
  readonly isolation: Isolation
  readonly cgroups: Cgroups | undefined
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

/** How long the log of an ended task may still be written after everything was killed, ms. */
const DRAIN_MS = 2000

/** Marker of the processes of an execution; the node and the session come first. */
export function markerOf(nodeMark: string, session: string, key: ExecutionKey): string {
  return `${nodeMark}:${session}:${keyText(key)}`
}

async function refusal(
  env: TaskEnvironment,
  assignment: Assignment,
  cwd: string,
  uid: number | undefined,
  path: string,
): Promise<{ program: string } | NotStarted> {
  const at = () => env.clock.wallMs()
  for (const port of assignment.ports) {
    if (await isPortFree(port)) continue
    return {
      pid: 0,
      exit: exitOf('PORT_IN_USE', `port ${port} is in use by another program`, at()),
    }
  }
  const command = assignment.command[0] ?? ''
  const found = lookupCommand({ command, path, cwd, uid })
  if (!found.ok) return { pid: 0, exit: exitOf('START_FAILED', found.why, at()) }
  if (env.store.wasStarted(assignment.key)) {
    return {
      pid: 0,
      exit: exitOf('SUPERVISOR_LOST', 'it was started before and is not run again', at()),
    }
  }
  return { program: found.path }
}

/** Starts a task, once. */
export async function startTask(
  env: TaskEnvironment,
  assignment: Assignment,
  directories: TaskDirectories,
): Promise<RunningTask | NotStarted> {
  const { key } = assignment
  const { uid, paths } = directories
  const marker = markerOf(env.nodeMark, env.session, key)
  const { nodeBinDir } = env
  const variables = taskEnvironment({ nodeBinDir, paths, env: assignment.env, marker })
  const checked = await refusal(env, assignment, directories.paths.cwd, uid, variables.PATH ?? '')
  if (!('program' in checked)) return checked
  const startedMs = env.clock.wallMs()
  const owner = uid === undefined ? {} : { uid }
  const record = { startedMs, taskDir: paths.taskDir, ...owner }
  const log = join(env.store.directory(key), 'output.log')
  let pipe: OutputPipe | undefined
  let cgroup: TaskCgroup | undefined
  try {
    env.store.recordStart(key, { pid: 0, startTime: '', ...record })
    pipe = openOutputPipe(join(env.store.directory(key), 'output.pipe'), uid)
    cgroup = env.cgroups?.create(keyText(key).replaceAll('/', '-'), assignment)
    const late = env.mayStart()
    if (late !== undefined) throw new StartRefused(late)
    const child = launch(env.isolation, {
      program: checked.program,
      args: assignment.command.slice(1),
      cwd: directories.paths.cwd,
      env: variables,
      uid,
      beforeRun: cgroup === undefined ? undefined : (pid) => void cgroup?.add(pid),
      stdio: ['ignore', pipe.writeFd, pipe.writeFd],
    })
    const pid = await spawned(child)
    closeWriteEnd(pipe)
    env.store.recordStart(key, { pid, startTime: startTimeOf(pid), ...record })
    const file = new RotatingFile(log, assignment.logMaxBytes)
    return new TaskProcess({ env, key, child, pid, cgroup, pipe, file })
  } catch (error) {
    if (pipe !== undefined) {
      closeWriteEnd(pipe)
      pipe.reader.destroy()
    }
    cgroup?.remove()
    const cause = error instanceof StartRefused ? error.reason : 'START_FAILED'
    return { pid: 0, exit: exitOf(cause, messageOf(error), env.clock.wallMs()) }
  }
}

/** The start came too late. */
class StartRefused extends Error {
  readonly reason: StopCause
  constructor(reason: StopCause) {
    super(`not started: ${STOP_TEXT[reason]}`)
    this.reason = reason
  }
}

function spawned(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('spawn', () => resolve(child.pid ?? 0))
  })
}

interface TaskParts {
  readonly env: TaskEnvironment
  readonly key: ExecutionKey
  readonly child: ChildProcess
  readonly pid: number
  readonly cgroup: TaskCgroup | undefined
  readonly pipe: OutputPipe
  readonly file: RotatingFile
}

class TaskProcess implements RunningTask {
  declare readonly exit?: never
  readonly pid: number
  readonly ended: Promise<TaskExit>
  private readonly parts: TaskParts
  private cause: StopCause | undefined
  private gone = false

  constructor(parts: TaskParts) {
    this.parts = parts
    this.pid = parts.pid
    const pumped = pumpOutput(parts.pipe.reader, parts.file)
    // Its failure is looked at when the process has ended.
    pumped.catch(() => undefined)
    this.ended = this.follow(pumped)
  }

  stop(cause: StopCause, graceMs: number): void {
    // A lapsed lease is the stronger reason; otherwise the first one counts.
    if (this.cause === undefined || cause === 'LEASE_LAPSED') this.cause = cause
    if (this.gone) return
    if (graceMs <= 0) {
      this.kill()
      return
    }
    signal(-this.pid, 'SIGTERM')
    this.parts.env.timers.after(graceMs, () => {
      if (!this.gone) this.kill()
    })
  }

  private kill(): void {
    this.parts.cgroup?.kill()
    signal(-this.pid, 'SIGKILL')
    signal(this.pid, 'SIGKILL')
  }

  private async follow(pumped: Promise<void>): Promise<TaskExit> {
    const { child, cgroup, env, key, pipe } = this.parts
    const { code, name } = await new Promise<{ code: number | null; name: string }>((resolve) =>
      child.once('exit', (exitCode, signalName) =>
        resolve({ code: exitCode, name: signalName ?? '' }),
      ),
    )
    this.gone = true
    const atMs = env.clock.wallMs()
    const outOfMemory = cgroup?.wasOutOfMemory() === true
    cgroup?.kill()
    signal(-this.pid, 'SIGKILL')
    const marker = markerOf(env.nodeMark, env.session, key)
    await killAll(env.timers, (found, session) => found === marker || session === this.pid)
    cgroup?.remove()
    const timeout = env.timers.after(DRAIN_MS, () => pipe.reader.destroy())
    const problem = await pumped.then(() => '', messageOf)
    timeout.cancel()
    return this.exitOf({ code, name, atMs, outOfMemory, problem })
  }

  private exitOf(how: {
    readonly code: number | null
    readonly name: string
    readonly atMs: number
    readonly outOfMemory: boolean
    readonly problem: string
  }): TaskExit {
    const cause = this.cause ?? (how.outOfMemory ? 'OUT_OF_MEMORY' : 'EXITED')
    const ended = how.name === '' ? `ended with code ${how.code}` : `was ended by ${how.name}`
    const why = this.cause === undefined ? '' : `; ${STOP_TEXT[this.cause]}`
    const log = how.problem === '' ? '' : `; its log is incomplete: ${how.problem}`
    return {
      cause,
      exitCode: how.code ?? -1,
      signal: how.name,
      message: `the process ${ended}${why}${log}`,
      atMs: how.atMs,
    }
  }
}

const STOP_TEXT: Readonly<Record<StopCause, string>> = {
  STOPPED: 'it was no longer wanted',
  LEASE_LAPSED: 'the lease of the node lapsed and the task is exclusive',
  NODE_SHUTDOWN: 'the node is being shut down',
}
