import type { Clock, Logger, Timer, Timers } from '@serverless-ai/kernel'
import type { NodeConfig } from '../../core/config.ts'
import { messageOf } from '../../core/errors.ts'
import { compareVersions, type ExecutionKey, isSafeName, keyText } from '../../core/keys.ts'
import {
  initialNode,
  leaseValid,
  type NodeEffect,
  type NodeInput,
  type NodeState,
  nextTickBootMs,
  probedTasks,
  step,
} from '../../core/node.ts'
import type { LeftExecution } from '../../core/records.ts'
import { runningTasks } from '../../core/running.ts'
import { type Assignment, exitOf, type Notice } from '../../core/types.ts'
import type { PortRange, PrepareProblem, ToAgent, ToSupervisor } from '../ipc.ts'
import { DurableWrites } from './durable-writes.ts'
import type { NodeHost } from './node-host.ts'
import type { NodeStore } from './node-store.ts'
import { ReportWatch } from './report-watch.ts'
import { Reporter } from './reporter.ts'
import { StateWaiter } from './state-waiter.ts'
import { type RunningTask, startTask, type TaskEnvironment } from './task.ts'
import type { TaskDirectories } from './task-paths.ts'
import { checkpointDirOf, reportPathOf } from './task-paths.ts'

/** Grace of tasks when the node is shut down, ms. */
export const SHUTDOWN_GRACE_MS = 3000

/** What a supervisor needs. */
export interface SupervisorOptions {
  readonly config: () => NodeConfig
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  readonly store: NodeStore
  readonly host: NodeHost
  /** Session of this supervisor. */
  readonly session: string
}

/** Where the agent is told things; false = no agent listens. */
export interface AgentLink {
  send(message: ToAgent): boolean
}

type DesiredSet = Extract<ToSupervisor, { type: 'desired' }>

interface Prepared {
  readonly assignment: Assignment
  readonly directories: TaskDirectories
}

/**
 * Owns the processes of a node. Everything that happens becomes an input of the rules in
 * `core/node.ts`; what they ask for is done here.
 */
export class Supervisor {
  private readonly options: SupervisorOptions
  private readonly left: readonly LeftExecution[]
  private readonly state: NodeState
  private readonly reporter: Reporter
  private readonly reportWatch: ReportWatch
  private readonly tasks = new Map<string, RunningTask>()
  private readonly prepared = new Map<string, Prepared>()
  /** Of tasks that run. */
  private readonly directories = new Map<string, TaskDirectories>()
  private portRange: PortRange | null = null
  private agent: AgentLink | undefined
  private tick: Timer | undefined
  /** The newest desired set that is not applied yet. */
  private wanted: DesiredSet | undefined
  private taking = false
  /** Tasks that the agent was told to ask. */
  private probing = ''
  /** Tasks that the agent was told to measure. */
  private measuring = ''
  private readonly waiter: StateWaiter
  private readonly writes: DurableWrites

  constructor(options: SupervisorOptions) {
    this.options = options
    this.waiter = new StateWaiter(options.timers)
    this.writes = new DurableWrites(options.timers, options.logger)
    this.left = options.store.load(options.clock.wallMs())
    this.state = initialNode(options.store.journal(), this.left)
    this.reporter = new Reporter(this.state)
    this.reportWatch = new ReportWatch({
      ...options,
      onLook: () => this.reporter.poll(),
      onLooked: () => this.report(),
    })
    for (const { key, start } of this.left) {
      // Lines may not have been reported: numbers let the pool manager drop what it has.
      const path = reportPathOf(start.taskDir)
      const checkpointDir = checkpointDirOf(options.config(), key)
      const lines = this.reportWatch.open({ path, uid: start.uid, checkpointDir })
      lines.end()
      this.reporter.follow(key, lines)
    }
  }

  /** Kills what older sessions left running. Before anything is started or reported. */
  clearLeftovers(): Promise<number> {
    return this.options.host.clearLeftovers(this.left)
  }

  /** Connects the agent; from now on its messages may come. */
  attach(agent: AgentLink): void {
    this.agent = agent
  }

  /** A message of the agent. */
  onMessage(message: ToSupervisor): void {
    switch (message.type) {
      case 'ready':
        this.greet()
        return
      case 'ports':
        this.portRange = message.range
        return
      case 'desired':
        this.want(message)
        return
      case 'lease':
        // A set that is not durable yet counts as not seen.
        this.apply({ ...message, setSeen: message.setSeen && !this.taking })
        return
      case 'ack':
        this.reporter.acknowledged(message.number)
        this.report()
        this.waiter.changed()
        return
      case 'prepared':
        this.onPrepared(message.key, message.problem)
        return
      case 'probed':
        this.apply(message)
    }
  }

  /** A late copy of an older set does not take the place of one that waits for the disk. */
  private want(message: DesiredSet): void {
    const { wanted } = this
    if (wanted !== undefined && compareVersions(message.version, wanted.version) < 0) return
    this.wanted = message
    void this.takeWanted()
  }

  /** Applies the newest desired set, once its version is durable: not before, whatever the disk. */
  private async takeWanted(): Promise<void> {
    if (this.taking) return
    this.taking = true
    while (this.wanted !== undefined) {
      const { type, version, assignments, forget } = this.wanted
      this.wanted = undefined
      const write = () => this.options.store.writeJournal(version)
      // Without an await when the disk takes it: the order of messages is kept.
      const later = this.writes.attempt('journal', write)
      if (later !== undefined) await later
      this.apply({ type, version, assignments: assignments.filter(isUsable), forget })
    }
    this.taking = false
  }

  private greet(): void {
    const { session, host } = this.options
    const { portRange } = this
    const journal = this.state.journal
    this.agent?.send({ type: 'session', session, journal, portRange, isolation: host.isolation })
    const report = this.reporter.inFlight
    if (report !== undefined) this.agent?.send({ type: 'report', report })
    this.probing = ''
    this.tellProbes()
    this.measuring = ''
    this.tellRunning()
    for (const held of this.state.held.values()) {
      const prepared = this.prepared.get(keyText(held.key))
      if (held.phase.at === 'preparing' && prepared !== undefined) this.askAgent(prepared)
    }
    this.report()
  }

  private apply(input: NodeInput): void {
    const now = { bootMs: this.options.clock.bootMs(), wallMs: this.options.clock.wallMs() }
    const effects = step(this.state, input, now)
    if (input.type !== 'lease' && input.type !== 'tick') this.reporter.touch()
    for (const effect of effects) this.perform(effect)
    this.arm()
    this.tellProbes()
    this.tellRunning()
    this.report()
    this.waiter.changed()
  }

  /** Tells the agent whom to ask, when that changed. */
  private tellProbes(): void {
    const targets = probedTasks(this.state)
    const text = targets.map(({ key }) => keyText(key)).join(' ')
    if (text === this.probing) return
    this.probing = text
    this.agent?.send({ type: 'probes', targets })
  }

  /** Tells the agent what to measure, when that changed. */
  private tellRunning(): void {
    const tasks = runningTasks(this.state)
    const text = tasks.map(({ key, pid }) => `${keyText(key)}/${pid}`).join(' ')
    if (text === this.measuring) return
    this.measuring = text
    if (this.options.config().telemetryAddress === '') return
    this.agent?.send({ type: 'running', tasks })
  }

  private perform(effect: NodeEffect): void {
    switch (effect.type) {
      case 'prepare':
        void this.prepare(effect.assignment)
        return
      case 'spawn':
        void this.spawn(effect.assignment)
        return
      case 'notice':
        void this.notice(effect.key, effect.notice)
        return
      case 'stop': {
        const { key, cause, graceMs } = effect
        this.options.logger.log('info', 'task is stopped', { task: keyText(key), cause, graceMs })
        this.tasks.get(keyText(key))?.stop(cause, graceMs)
        return
      }
      case 'record':
        this.prepared.delete(keyText(effect.key))
        void this.writes.attempt('exit', () =>
          this.options.store.recordExit(effect.key, effect.exit),
        )
        return
      case 'forget':
        this.reporter.forget(effect.key)
        void this.forget(effect.key)
    }
  }

  /** A task that cannot be told goes on: it is ended at the deadline as if it did not listen. */
  private async notice(key: ExecutionKey, notice: Notice): Promise<void> {
    const { host, logger } = this.options
    const directories = this.directories.get(keyText(key))
    if (directories === undefined) return
    const problem = await host
      .writeNotice(directories, `${JSON.stringify(notice)}\n`)
      .then(() => '', messageOf)
    if (problem !== '') logger.log('error', 'a notice was not written', { key, problem })
    else logger.log('info', 'task is told', { task: keyText(key), kind: notice.kind })
  }

  private async forget(key: ExecutionKey): Promise<void> {
    await this.writes.attempt('end of a task', () => this.options.store.forget(key))
    for (const { taskDir, uid } of this.options.store.prune(this.options.config().keepEnded)) {
      await this.options.host.removeDirectory(taskDir, uid)
    }
  }

  private async prepare(assignment: Assignment): Promise<void> {
    const { key } = assignment
    try {
      const directories = await this.options.host.directoriesFor(assignment)
      const prepared = { assignment, directories }
      if (this.state.held.get(keyText(key))?.phase.at !== 'preparing') return
      this.prepared.set(keyText(key), prepared)
      if (assignment.workspace === '') this.apply({ type: 'prepared', key })
      else this.askAgent(prepared)
    } catch (error) {
      const message = `directories: ${messageOf(error)}`
      this.onPrepared(key, { cause: 'PREPARE_FAILED', message })
    }
  }

  private askAgent({ assignment, directories }: Prepared): void {
    const { key, workspace } = assignment
    const uid = directories.uid ?? null
    this.agent?.send({ type: 'prepare', key, workspace, directory: directories.paths.cwd, uid })
  }

  private onPrepared(key: ExecutionKey, problem?: PrepareProblem): void {
    if (problem === undefined) {
      this.apply({ type: 'prepared', key })
      return
    }
    const exit = exitOf(problem.cause, problem.message, this.options.clock.wallMs())
    this.apply({ type: 'ended', key, exit })
  }

  private async spawn(assignment: Assignment): Promise<void> {
    const { key } = assignment
    const prepared = this.prepared.get(keyText(key))
    if (prepared === undefined) return
    this.prepared.delete(keyText(key))
    const { paths, uid } = prepared.directories
    const started = await startTask(this.taskEnvironment(key), assignment, prepared.directories)
    if (started.exit !== undefined) {
      this.apply({ type: 'ended', key, exit: started.exit })
      return
    }
    this.tasks.set(keyText(key), started)
    this.directories.set(keyText(key), prepared.directories)
    const { report: path, checkpointDir } = paths
    const lines = this.reportWatch.open({ path, uid, checkpointDir })
    this.reporter.follow(key, lines)
    this.reportWatch.started(key, lines)
    this.options.logger.log('info', 'task is started', { task: keyText(key), pid: started.pid })
    this.apply({ type: 'spawned', key, pid: started.pid })
    const exit = await started.ended
    this.tasks.delete(keyText(key))
    this.directories.delete(keyText(key))
    this.reportWatch.ended(key)
    await this.writes.attempt('exit', () => this.options.store.recordExit(key, exit))
    this.reporter.ended(key)
    this.options.logger.log('info', 'task has ended', { task: keyText(key), ...exit })
    this.apply({ type: 'ended', key, exit })
  }

  private taskEnvironment(key: ExecutionKey): TaskEnvironment {
    const { options } = this
    return {
      ...options,
      ...options.host,
      writes: this.writes,
      nodeBinDir: options.config().nodeBinDir,
      mayStart: () => {
        if (this.state.shutdown) return 'NODE_SHUTDOWN'
        const phase = this.state.held.get(keyText(key))?.phase
        if (phase?.at !== 'spawning') return 'STOPPED'
        return leaseValid(this.state, options.clock.bootMs()) ? phase.unwanted : 'LEASE_LAPSED'
      },
    }
  }

  private arm(): void {
    this.tick?.cancel()
    const at = nextTickBootMs(this.state)
    if (at === undefined) return
    const inMs = Math.max(0, at - this.options.clock.bootMs())
    this.tick = this.options.timers.after(Math.ceil(inMs), () => this.apply({ type: 'tick' }))
  }

  private report(): void {
    const report = this.reporter.next()
    if (report !== undefined) this.agent?.send({ type: 'report', report })
  }

  /** Stops all tasks, then waits a moment until their ends were delivered. */
  async shutdown(): Promise<void> {
    this.apply({ type: 'shutdown', graceMs: SHUTDOWN_GRACE_MS })
    const ended = () => [...this.state.held.values()].every(({ phase }) => phase.at === 'exited')
    await this.waiter.until(ended, SHUTDOWN_GRACE_MS + 1000)
    await this.waiter.until(() => this.reporter.settled, 1000)
    this.tick?.cancel()
    this.reportWatch.stop()
  }
}

/** What cannot be a folder name is not run; the pool manager makes ids that can. */
function isUsable({ key, command }: Assignment): boolean {
  return isSafeName(key.jobId) && command.length > 0
}
