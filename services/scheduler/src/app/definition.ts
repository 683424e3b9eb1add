import type { ServiceDefinition, ServiceRuntime } from '@serverless-ai/runtime'
import { inputs } from '../adapters/inputs.ts'
import { publish, snapshotFeed } from '../adapters/public-events.ts'
import { schedulerDecider } from '../core/decider.ts'
import type { SchedulerCommand, SchedulerEvent } from '../core/messages.ts'
import { ROUND_TIMER } from '../core/round.ts'
import type { SchedulerState } from '../core/state.ts'

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
    decider: schedulerDecider,
    publish,
    snapshotFeed,
    inputs,
    onTimer: commandOfTimer,
  }
}

/** `round` or `backoff:<job>:<generation>`. */
function commandOfTimer(key: string): SchedulerCommand {
  if (key === ROUND_TIMER) return { type: 'ContinueRound' }
  const [, jobId = '', generation = ''] = key.split(':')
  return { type: 'EndBackoff', jobId, generation: Number(generation) }
}
