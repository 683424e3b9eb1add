/** Processes of tasks on a simulated machine. */
import type { Clock, Timers } from '@serverless-ai/kernel'
import type {
  LaunchedProcess,
  PreparedProcess,
  ProcessEnd,
  ProcessSpec,
  StartProblem,
  TaskProcesses,
} from '@serverless-ai/node-agent/parts'
import { keyText } from '@serverless-ai/node-agent/parts'
import type { Observation, TaskKey } from '../../check/types.ts'
import type { SimTime } from '../../world/types.ts'
import type { TaskScript, TaskScripts } from '../types.ts'
import type { Gangs } from './gangs.ts'
import type { ReportFile } from './report-file.ts'

/** From the request until the program runs, ms. */
const EXEC_MS = 8
/** A server takes requests this long after its start, ms. */
const READY_MS = 1_500
/** A program ends this long after SIGTERM, ms. */
const TERMINATE_MS = 15
/** From the end of a process until its parent has cleared up, ms. */
const REAP_MS = 3

/** What processes need. */
export interface VirtualProcessesInit {
  readonly time: SimTime
  /** Name of the node and of its place in the network. */
  readonly node: string
  /** Clock and timers of the supervisor that starts them: silent when it is dead. */
  readonly clock: Clock
  readonly timers: Timers
  readonly scripts: TaskScripts
  readonly gangs: Gangs
  readonly reportFile: (path: string, checkpointDir: string) => ReportFile
  readonly observe: (observation: Observation) => void
}

/** The processes that one session of a supervisor has started. They die with it. */
export class VirtualProcesses implements TaskProcesses {
  readonly #init: VirtualProcessesInit
  readonly #running = new Set<VirtualProcess>()
  #lastPid = 1_000

  constructor(init: VirtualProcessesInit) {
    this.#init = init
  }

  get running(): number {
    return this.#running.size
  }

  async check({ assignment }: ProcessSpec): Promise<StartProblem | undefined> {
    if (this.#init.scripts(assignment.command) !== undefined) return undefined
    const message = `command ${assignment.command[0] ?? ''} was not found`
    return { cause: 'START_FAILED', message }
  }

  prepare(spec: ProcessSpec): PreparedProcess {
    const script = this.#init.scripts(spec.assignment.command)
    if (script === undefined) throw new Error('no such command')
    return {
      launch: async () => {
        this.#lastPid += 1
        const process = new VirtualProcess(this.#init, spec, script, this.#lastPid, () =>
          this.#running.delete(process),
        )
        this.#running.add(process)
        await this.#init.timers.sleep(EXEC_MS)
        return process
      },
      discard: () => undefined,
    }
  }

  /** A question to a port of the node; empty = who listens there takes requests. */
  answer(port: number): string {
    for (const process of this.#running) {
      if (!process.ports.includes(port)) continue
      return process.ageMs >= READY_MS ? '' : 'GET /healthz: 503'
    }
    return `port ${port}: ECONNREFUSED`
  }

  /** A task is told of a planned change. */
  notice(taskDir: string, id: string): void {
    for (const process of this.#running) if (process.taskDir === taskDir) process.notice(id)
  }

  /** The supervisor is dead: parent-death signal. */
  killAll(): void {
    for (const process of [...this.#running]) process.kill()
  }
}

class VirtualProcess implements LaunchedProcess {
  readonly pid: number
  readonly startTime: string
  readonly ended: Promise<ProcessEnd>
  readonly ports: readonly number[]
  readonly taskDir: string
  readonly #startedMs: number
  readonly #init: VirtualProcessesInit
  readonly #key: TaskKey
  readonly #gang: string
  readonly #stubborn: boolean
  readonly #onEnd: () => void
  #gone = false
  #resolve: (end: ProcessEnd) => void = () => undefined

  constructor(
    init: VirtualProcessesInit,
    spec: ProcessSpec,
    script: TaskScript,
    pid: number,
    onEnd: () => void,
  ) {
    const { key, assignment, variables, directories } = spec
    const { jobId, gang, generation, rank } = key
    this.#init = init
    this.#key = { jobId, gang, generation, rank }
    this.#gang = keyText({ ...key, rank: 0 })
    this.#stubborn = script.stubborn
    this.#onEnd = onEnd
    this.pid = pid
    this.ports = assignment.ports
    this.taskDir = directories.paths.taskDir
    this.#startedMs = init.time.nowMs
    this.startTime = String(init.time.events)
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve
    })
    const devices = (variables.SAI_VISIBLE_DEVICES ?? '').split(',').filter((text) => text !== '')
    init.observe({
      kind: 'task-started',
      atMs: init.time.nowMs,
      node: init.node,
      key: this.#key,
      devices: devices.map(Number),
      exclusive: assignment.exclusive,
    })
    const { report, checkpointDir } = directories.paths
    const file = init.reportFile(report, checkpointDir)
    init.time.after(EXEC_MS, () => {
      if (this.#gone) return
      const worldSize = Number(variables.WORLD_SIZE ?? '1')
      init.gangs.join(
        this.#gang,
        { worldSize, generation },
        {
          rank,
          node: init.node,
          script,
          resumeFrom: variables.SAI_RESUME_FROM ?? '',
          checkpointDir,
          report: (line) => file.append(line),
          exit: (code) => this.#end(code, ''),
        },
      )
    })
  }

  get ageMs(): number {
    return this.#init.time.nowMs - this.#startedMs
  }

  notice(id: string): void {
    if (!this.#gone) this.#init.gangs.notice(this.#gang, id)
  }

  terminate(): void {
    if (this.#stubborn) return
    this.#init.time.after(TERMINATE_MS, () => this.#end(null, 'SIGTERM'))
  }

  kill(): void {
    this.#end(null, 'SIGKILL')
  }

  #end(code: number | null, signal: string): void {
    if (this.#gone) return
    this.#gone = true
    const { time, node, observe, gangs, timers, clock } = this.#init
    gangs.leave(this.#gang, this.#key.rank)
    this.#onEnd()
    const cause = signal === '' ? `exit ${code}` : signal
    observe({ kind: 'task-ended', atMs: time.nowMs, node, key: this.#key, cause })
    timers.after(REAP_MS, () => {
      const atMs = clock.wallMs()
      this.#resolve({ code, signal, atMs, outOfMemory: false, logProblem: '' })
    })
  }
}
