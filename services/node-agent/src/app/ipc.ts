import type { DesiredVersion, ExecutionKey } from '../core/keys.ts'
import type { Report } from '../core/outbox.ts'
import type { Readiness, ReadinessProbe } from '../core/probe.ts'
import type { RunningTask } from '../core/running.ts'
import type { Assignment, ExitCause } from '../core/types.ts'

/** What the supervisor tells its agent, over the IPC channel. */
export type ToAgent =
  | {
      /** First message, after `ready`. */
      readonly type: 'session'
      readonly session: string
      readonly journal: DesiredVersion
      /** Port range probed earlier in this session; null = probe it. */
      readonly portRange: PortRange | null
      readonly isolation: string
    }
  /** Sent again to a new agent until it is acknowledged. */
  | { readonly type: 'report'; readonly report: Report }
  /** Unpack a workspace into an empty directory of the uid. */
  | {
      readonly type: 'prepare'
      readonly key: ExecutionKey
      readonly workspace: string
      readonly directory: string
      readonly uid: number | null
    }
  /** All tasks that run and are to be asked whether they can take requests. */
  | { readonly type: 'probes'; readonly targets: readonly ProbeTarget[] }
  /** All tasks that run, where they are measured. */
  | { readonly type: 'running'; readonly tasks: readonly RunningTask[] }
  /** End in order. */
  | { readonly type: 'stop' }

/** A task that is asked whether it can take requests. */
export interface ProbeTarget {
  readonly key: ExecutionKey
  readonly probe: ReadinessProbe
  /** What was found last, also by an agent before; null = nothing yet. */
  readonly readiness: Readiness | null
}

/** Why a task cannot run: its workspace is unusable (START_FAILED), or it failed on this node. */
export interface PrepareProblem {
  readonly cause: Extract<ExitCause, 'START_FAILED' | 'PREPARE_FAILED'>
  readonly message: string
}

/** A range of ports, both ends included. */
export interface PortRange {
  readonly first: number
  readonly last: number
}

/** What the agent tells its supervisor. */
export type ToSupervisor =
  | { readonly type: 'ready' }
  | { readonly type: 'ports'; readonly range: PortRange }
  | {
      readonly type: 'desired'
      readonly version: DesiredVersion
      readonly assignments: readonly Assignment[]
      readonly forget: readonly ExecutionKey[]
    }
  /** The lease ends at that boot time; `setSeen` = a desired set came over the same stream. */
  | { readonly type: 'lease'; readonly deadlineBootMs: number; readonly setSeen: boolean }
  | { readonly type: 'ack'; readonly number: number }
  /** What the probe of a task found, when it is another thing than before. */
  | { readonly type: 'probed'; readonly key: ExecutionKey; readonly readiness: Readiness }
  /** Without a problem the workspace is in place. */
  | { readonly type: 'prepared'; readonly key: ExecutionKey; readonly problem?: PrepareProblem }

function typeOf(value: unknown): string {
  if (typeof value !== 'object' || value === null || !('type' in value)) return ''
  return typeof value.type === 'string' ? value.type : ''
}

/** True for a message of the other side: both are of one build, so its type says it all. */
export function isToAgent(value: unknown): value is ToAgent {
  return ['session', 'report', 'prepare', 'probes', 'running', 'stop'].includes(typeOf(value))
}

/** See {@link isToAgent}. */
export function isToSupervisor(value: unknown): value is ToSupervisor {
  const types = ['ready', 'ports', 'desired', 'lease', 'ack', 'prepared', 'probed']
  return types.includes(typeOf(value))
}
