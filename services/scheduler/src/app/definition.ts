import type { ServiceDefinition } from '@serverless-ai/runtime'
import { poolManagerInputs } from '../adapters/pool-inputs.ts'
import { feedOf, publicEvents } from '../adapters/public-events.ts'
import type { SchedulerCommand } from '../core/commands.ts'
import { schedulerDecider } from '../core/decider.ts'
import type { SchedulerEvent } from '../core/events.ts'
import { ROUND_TIMER } from '../core/round.ts'
import type { SchedulerState } from '../core/state.ts'

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
    publish: publicEvents,
    snapshotFeed: feedOf,
    inputs: [poolManagerInputs],
    onTimer: commandOfTimer,
  }
}

/** `round` or `backoff:<job>:<generation>`. */
function commandOfTimer(key: string): SchedulerCommand {
  if (key === ROUND_TIMER) return { type: 'ContinueRound' }
  const [, jobId = '', generation = ''] = key.split(':')
  return { type: 'EndBackoff', jobId, generation: Number(generation) }
}
