import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { Clock, Timers } from '@serverless-ai/kernel'
import type { Cgroups, TaskCgroup } from '../../adapters/os/cgroup.ts'
import type { CpuQuota, QuotaGroup } from '../../adapters/os/cpu-quota.ts'
import { type Isolation, launch } from '../../adapters/os/launch.ts'
import { lookupCommand } from '../../adapters/os/lookup.ts'
import {
  closeWriteEnd,
  type OutputPipe,
  openOutputPipe,
  pumpOutput,
  RotatingFile,
} from '../../adapters/os/output.ts'
import { isPortFree } from '../../adapters/os/port-probe.ts'
import { killAll, signal, startTimeOf } from '../../adapters/os/proc.ts'
import { messageOf } from '../../core/errors.ts'
import { keyText } from '../../core/keys.ts'
import type { Assignment } from '../../core/types.ts'
import type {
  LaunchedProcess,
  PreparedProcess,
  ProcessEnd,
  ProcessSpec,
  StartProblem,
  TaskProcesses,
} from '../supervisor/task-processes.ts'
import type { FileNodeStore } from './store.ts'

/** What real processes need. */
export interface OsProcessesOptions {
  readonly clock: Clock
  readonly timers: Timers
  readonly store: FileNodeStore
  readonly isolation: Isolation
  readonly cgroups: Cgroups | undefined
  /** Binds emulated devices where `cgroups` cannot. */
  readonly cpuQuota: CpuQuota | undefined
}

/** How long the log of an ended task may still be written after everything was killed, ms. */
const DRAIN_MS = 2000

/** Tasks as processes of this machine. */
export function osProcesses(options: OsProcessesOptions): TaskProcesses {
  return { check, prepare: (spec) => new OsPrepared(options, spec) }
}

/** The smaller of what the task may use and what its devices stand for. */
function limitsOf({ cpuMillis, deviceCpuMillis = 0 }: Assignment): { cpuMillis: number } {
  const set = [cpuMillis, deviceCpuMillis].filter((millis) => millis > 0)
  return { cpuMillis: set.length === 0 ? 0 : Math.min(...set) }
}

/** Program of a command, as the task's user would find it. */
function programOf({ assignment, directories, variables }: ProcessSpec) {
  const command = assignment.command[0] ?? ''
  const { cwd } = directories.paths
  return lookupCommand({ command, path: variables.PATH ?? '', cwd, uid: directories.uid })
}

async function check(spec: ProcessSpec): Promise<StartProblem | undefined> {
  for (const port of spec.assignment.ports) {
    if (await isPortFree(port)) continue
    return { cause: 'PORT_IN_USE', message: `port ${port} is in use by another program` }
  }
  const found = programOf(spec)
  return found.ok ? undefined : { cause: 'START_FAILED', message: found.why }
}

class OsPrepared implements PreparedProcess {
  private readonly options: OsProcessesOptions
  private readonly spec: ProcessSpec
  private readonly pipe: OutputPipe
  private readonly cgroup: TaskCgroup | undefined
  private readonly quota: QuotaGroup | undefined
  private closed = false

  constructor(options: OsProcessesOptions, spec: ProcessSpec) {
    this.options = options
    this.spec = spec
    const { key, assignment, directories } = spec
    const path = join(options.store.directory(key), 'output.pipe')
    this.pipe = openOutputPipe(path, directories.uid)
    const name = keyText(key).replaceAll('/', '-')
    const { deviceCpuMillis } = assignment
    this.cgroup = options.cgroups?.create(name, { ...assignment, ...limitsOf(assignment) })
    if (deviceCpuMillis !== undefined) {
      this.quota = options.cpuQuota?.create(name, deviceCpuMillis)
    }
  }

  async launch(): Promise<LaunchedProcess> {
    const { spec, pipe, cgroup, quota } = this
    const { assignment, directories, variables } = spec
    const found = programOf(spec)
    if (!found.ok) throw new Error(found.why)
    const child = launch(this.options.isolation, {
      program: found.path,
      args: assignment.command.slice(1),
      cwd: directories.paths.cwd,
      env: variables,
      uid: directories.uid,
      beforeRun: cgroup === undefined && quota === undefined ? undefined : (pid) => this.enter(pid),
      stdio: ['ignore', pipe.writeFd, pipe.writeFd],
    })
    const pid = await spawned(child)
    this.closeOwnEnd()
    const log = join(this.options.store.directory(spec.key), 'output.log')
    const file = new RotatingFile(log, assignment.logMaxBytes)
    return new OsProcess({ ...this.options, spec, child, pid, cgroup, quota, pipe, file })
  }

  discard(): void {
    this.closeOwnEnd()
    this.pipe.reader.destroy()
    this.cgroup?.remove()
    this.quota?.remove()
  }

  private enter(pid: number): void {
    this.cgroup?.add(pid)
    this.quota?.add(pid)
  }

  private closeOwnEnd(): void {
    if (this.closed) return
    this.closed = true
    closeWriteEnd(this.pipe)
  }
}

function spawned(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('spawn', () => resolve(child.pid ?? 0))
  })
}

interface OsProcessParts extends OsProcessesOptions {
  readonly spec: ProcessSpec
  readonly child: ChildProcess
  readonly pid: number
  readonly cgroup: TaskCgroup | undefined
  readonly quota: QuotaGroup | undefined
  readonly pipe: OutputPipe
  readonly file: RotatingFile
}

class OsProcess implements LaunchedProcess {
  readonly pid: number
  readonly startTime: string
  readonly ended: Promise<ProcessEnd>
  private readonly parts: OsProcessParts
  private gone = false

  constructor(parts: OsProcessParts) {
    this.parts = parts
    this.pid = parts.pid
    this.startTime = startTimeOf(parts.pid)
    const pumped = pumpOutput(parts.pipe.reader, parts.file)
    // Its failure is looked at when the process has ended.
    pumped.catch(() => undefined)
    this.ended = this.follow(pumped)
  }

  terminate(): void {
    // Its number may be somebody else's once it has ended.
    if (!this.gone) signal(-this.pid, 'SIGTERM')
  }

  kill(): void {
    if (this.gone) return
    this.parts.cgroup?.kill()
    signal(-this.pid, 'SIGKILL')
    signal(this.pid, 'SIGKILL')
  }

  private async follow(pumped: Promise<void>): Promise<ProcessEnd> {
    const { child, cgroup, quota, clock, timers, spec, pipe } = this.parts
    const { code, name } = await new Promise<{ code: number | null; name: string }>((resolve) =>
      child.once('exit', (exitCode, signalName) =>
        resolve({ code: exitCode, name: signalName ?? '' }),
      ),
    )
    this.gone = true
    const atMs = clock.wallMs()
    const outOfMemory = cgroup?.wasOutOfMemory() === true
    cgroup?.kill()
    signal(-this.pid, 'SIGKILL')
    await killAll(timers, (found, session) => found === spec.marker || session === this.pid)
    cgroup?.remove()
    quota?.remove()
    const timeout = timers.after(DRAIN_MS, () => pipe.reader.destroy())
    const logProblem = await pumped.then(() => '', messageOf)
    timeout.cancel()
    return { code, signal: name, atMs, outOfMemory, logProblem }
  }
}
