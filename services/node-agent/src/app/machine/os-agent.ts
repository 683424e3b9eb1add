import type { ChildProcess } from 'node:child_process'
import type { Logger } from '@serverless-ai/kernel'
import { type Isolation, launch, SMALL_NODE_FLAGS } from '../../adapters/os/launch.ts'
import { EXECUTION_VARIABLE, signal } from '../../adapters/os/proc.ts'
import { isToSupervisor, type ToAgent } from '../ipc.ts'
import type { AgentChild, AgentEvents, LaunchAgent } from '../supervisor/agent-process.ts'

/** How the agent of a node is started. */
export interface OsAgentOptions {
  readonly logger: Logger
  readonly isolation: Isolation
  /** File of the agent's main and its arguments. */
  readonly command: readonly string[]
  readonly nodeDir: string
  /** Marker by which a later supervisor finds a leftover agent. */
  readonly marker: string
  /** Descriptor of the agent's own log. */
  readonly logFd: number
}

/** The agent as a child process of Node, with an IPC channel. */
export function osAgent(options: OsAgentOptions): LaunchAgent {
  return (events) => start(options, events)
}

function start(options: OsAgentOptions, events: AgentEvents): AgentChild {
  const { logger } = options
  const child = launch(options.isolation, {
    program: process.execPath,
    args: [...SMALL_NODE_FLAGS, ...options.command],
    cwd: options.nodeDir,
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', [EXECUTION_VARIABLE]: options.marker },
    uid: undefined,
    stdio: ['ignore', options.logFd, options.logFd, 'ipc'],
  })
  child.on('message', (message: unknown) => {
    if (isToSupervisor(message)) events.onMessage(message)
  })
  child.once('error', (error) =>
    logger.log('error', 'the agent cannot be started', { error: error.message }),
  )
  child.once('exit', (code, signalName) => events.onGone({ code, signal: signalName }))
  return {
    pid: child.pid ?? 0,
    send: (message) => send(child, message, logger),
    kill: () => {
      if (child.pid !== undefined) signal(child.pid, 'SIGKILL')
    },
  }
}

function send(child: ChildProcess, message: ToAgent, logger: Logger): boolean {
  if (!child.connected) return false
  child.send(message, (error) => {
    if (error) logger.log('debug', 'message to the agent lost', { of: message.type })
  })
  return true
}
