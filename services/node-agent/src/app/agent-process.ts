import type { ChildProcess } from 'node:child_process'
import type { Clock, Logger, Timer, Timers } from '@serverless-ai/kernel'
import { type Isolation, launch, SMALL_NODE_FLAGS } from '../adapters/os/launch.ts'
import { EXECUTION_VARIABLE, signal } from '../adapters/os/proc.ts'
import { AGENT_RESTART, delayMs, HEALTHY_MS } from '../core/backoff.ts'
import { isToSupervisor, type ToAgent, type ToSupervisor } from './ipc.ts'

/** What keeps an agent running. */
export interface AgentProcessOptions {
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  readonly isolation: Isolation
  /** File of the agent's main and its arguments. */
  readonly command: readonly string[]
  readonly nodeDir: string
  /** Marker by which a later supervisor finds a leftover agent. */
  readonly marker: string
  /** Descriptor of the agent's own log. */
  readonly logFd: number
  readonly onMessage: (message: ToSupervisor) => void
  /** A new agent was started, or the agent is gone (0). */
  readonly onPid: (pid: number) => void
}

/** The agent as a child: started, restarted with back-off, stopped. */
export class AgentProcess {
  private readonly options: AgentProcessOptions
  private child: ChildProcess | undefined
  private failures = 0
  private startedMs = 0
  private restart: Timer | undefined
  private stopping = false
  private onGone: () => void = () => undefined

  constructor(options: AgentProcessOptions) {
    this.options = options
  }

  start(): void {
    const { options } = this
    this.restart = undefined
    this.startedMs = options.clock.monotonicMs()
    const child = launch(options.isolation, {
      program: process.execPath,
      args: [...SMALL_NODE_FLAGS, ...options.command],
      cwd: options.nodeDir,
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', [EXECUTION_VARIABLE]: options.marker },
      uid: undefined,
      stdio: ['ignore', options.logFd, options.logFd, 'ipc'],
    })
    this.child = child
    child.on('message', (message: unknown) => {
      if (isToSupervisor(message)) options.onMessage(message)
    })
    child.once('error', (error) =>
      options.logger.log('error', 'the agent cannot be started', { error: error.message }),
    )
    child.once('exit', (code, name) => this.gone(child, code, name))
    options.onPid(child.pid ?? 0)
  }

  private gone(child: ChildProcess, code: number | null, name: string | null): void {
    if (this.child !== child) return
    this.child = undefined
    this.options.onPid(0)
    this.onGone()
    if (this.stopping) return
    const livedMs = this.options.clock.monotonicMs() - this.startedMs
    this.failures = livedMs >= HEALTHY_MS ? 1 : this.failures + 1
    const inMs = delayMs(AGENT_RESTART, this.failures)
    this.options.logger.log('warn', 'the agent ended', { code, signal: name, restartInMs: inMs })
    this.restart = this.options.timers.after(inMs, () => this.start())
  }

  /** Sends a message; false when no agent listens. */
  send(message: ToAgent): boolean {
    if (this.child?.connected !== true) return false
    this.child.send(message, (error) => {
      if (error) this.options.logger.log('debug', 'message to the agent lost', { of: message.type })
    })
    return true
  }

  /** Starts the agent anew at once, with the configuration as it is now. */
  renew(): void {
    this.failures = 0
    this.restart?.cancel()
    const { child } = this
    if (child === undefined) this.start()
    else if (child.pid !== undefined) signal(child.pid, 'SIGKILL')
  }

  /** Asks it to end, kills it after `graceMs`. Resolves when it is gone. */
  async stop(graceMs: number): Promise<void> {
    this.stopping = true
    this.restart?.cancel()
    const { child } = this
    if (child?.pid === undefined) return
    const { pid } = child
    const gone = new Promise<void>((resolve) => {
      this.onGone = resolve
    })
    this.send({ type: 'stop' })
    // A stopped process (SIGSTOP) does not read messages but does die of SIGKILL.
    const kill = this.options.timers.after(graceMs, () => signal(pid, 'SIGKILL'))
    await gone
    kill.cancel()
  }
}
