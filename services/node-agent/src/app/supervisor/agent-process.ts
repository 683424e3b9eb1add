import type { Clock, Logger, Timer, Timers } from '@serverless-ai/kernel'
import { AGENT_RESTART, delayMs, HEALTHY_MS } from '../../core/backoff.ts'
import type { ToAgent, ToSupervisor } from '../ipc.ts'

/** An agent that was started. */
export interface AgentChild {
  /** 0 = it could not be started. */
  readonly pid: number
  /** Sends a message; false when it does not listen. */
  send(message: ToAgent): boolean
  /** SIGKILL. */
  kill(): void
}

/** What an agent's child process tells. */
export interface AgentEvents {
  readonly onMessage: (message: ToSupervisor) => void
  /** It is gone: how it ended, for people. Never called before {@link LaunchAgent} returns. */
  readonly onGone: (how: Readonly<Record<string, unknown>>) => void
}

/** Starts an agent beside its supervisor. */
export type LaunchAgent = (events: AgentEvents) => AgentChild

/** What keeps an agent running. */
export interface AgentProcessOptions {
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  readonly launch: LaunchAgent
  readonly onMessage: (message: ToSupervisor) => void
  /** A new agent was started, or the agent is gone (0). */
  readonly onPid: (pid: number) => void
}

/** The agent as a child: started, restarted with back-off, stopped. */
export class AgentProcess {
  private readonly options: AgentProcessOptions
  private child: AgentChild | undefined
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
    const child = options.launch({
      onMessage: options.onMessage,
      onGone: (how) => this.gone(child, how),
    })
    this.child = child
    options.onPid(child.pid)
  }

  private gone(child: AgentChild, how: Readonly<Record<string, unknown>>): void {
    if (this.child !== child) return
    this.child = undefined
    this.options.onPid(0)
    this.onGone()
    if (this.stopping) return
    const livedMs = this.options.clock.monotonicMs() - this.startedMs
    this.failures = livedMs >= HEALTHY_MS ? 1 : this.failures + 1
    const inMs = delayMs(AGENT_RESTART, this.failures)
    this.options.logger.log('warn', 'the agent ended', { ...how, restartInMs: inMs })
    this.restart = this.options.timers.after(inMs, () => this.start())
  }

  /** Sends a message; false when no agent listens. */
  send(message: ToAgent): boolean {
    return this.child?.send(message) ?? false
  }

  /** Starts the agent anew at once, with the configuration as it is now. */
  renew(): void {
    this.failures = 0
    this.restart?.cancel()
    if (this.child === undefined) this.start()
    else this.child.kill()
  }

  /** Asks it to end, kills it after `graceMs`. Resolves when it is gone. */
  async stop(graceMs: number): Promise<void> {
    this.stopping = true
    this.restart?.cancel()
    const { child } = this
    if (child === undefined || child.pid === 0) return
    const gone = new Promise<void>((resolve) => {
      this.onGone = resolve
    })
    this.send({ type: 'stop' })
    // A stopped process (SIGSTOP) does not read messages but does die of SIGKILL.
    const kill = this.options.timers.after(graceMs, () => child.kill())
    await gone
    kill.cancel()
  }
}
