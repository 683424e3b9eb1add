import type { ServiceDefinition, ServiceRuntime } from '@serverless-ai/runtime'
import { inputs } from '../adapters/inputs.ts'
import { publish, snapshotFeed } from '../adapters/public-events.ts'
import { profilerDecider } from '../core/decider.ts'
import { commandOfTimer, type ProfilerCommand, type ProfilerEvent } from '../core/messages.ts'
import type { ProfilerState } from '../core/model.ts'

/** Runtime of the resource profiler. */
export type ProfilerRuntime = ServiceRuntime<ProfilerState, ProfilerCommand, ProfilerEvent>

/**
 * The resource profiler as the runtime runs it. It has no effects: it never calls another service.
 */
export function resourceProfilerDefinition(): ServiceDefinition<
  ProfilerState,
  ProfilerCommand,
  ProfilerEvent
> {
  return {
    name: 'resource-profiler',
    schemaVersion: 1,
    decider: profilerDecider,
    publish,
    snapshotFeed,
    inputs,
    onTimer: commandOfTimer,
  }
}
