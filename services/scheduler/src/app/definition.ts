import type { ServiceDefinition, ServiceRuntime } from '@serverless-ai/runtime'
import { inputs } from '../adapters/inputs.ts'
import { publish, snapshotFeed } from '../adapters/public-events.ts'
import { schedulerDecider } from '../core/decider.ts'
import { SCALING_EVENTS, type SchedulerCommand, type SchedulerEvent } from '../core/messages.ts'
import { ROUND_TIMER } from '../core/round.ts'
import type { SchedulerState } from '../core/state.ts'
import { SCALING_LEVEL } from '../core/types.ts'

/** Runtime of the scheduler. */
export type SchedulerRuntime = ServiceRuntime<SchedulerState, SchedulerCommand, SchedulerEvent>

/** The scheduler as the runtime runs it. It has no effects: it never calls another service. */
export function schedulerDefinition(): ServiceDefinition<
  SchedulerState,
  SchedulerCommand,
  SchedulerEvent
> {
  return {
    name: 'scheduler',
    schemaVersion: 1,
    eventLevels: Object.fromEntries(SCALING_EVENTS.map((type) => [type, SCALING_LEVEL])),
    decider: schedulerDecider,
    publish,
    snapshotFeed,
    inputs,
    onTimer: commandOfTimer,
  }
}

/**
 * `round`, `backoff:<job>:<generation>[:<gang>]`, `drain:<job>:<generation>:<gang>` or
 * `startup:<job>:<generation>:<gang>`.
 */
export function commandOfTimer(key: string): SchedulerCommand {
  if (key === ROUND_TIMER) return { type: 'ContinueRound' }
  const [kind, jobId = '', generation = '', gang = '0'] = key.split(':')
  const of = { jobId, gang: Number(gang), generation: Number(generation) }
  if (kind === 'drain') return { type: 'EndDrain', ...of }
  return { type: kind === 'startup' ? 'EndStartup' : 'EndBackoff', ...of }
}
