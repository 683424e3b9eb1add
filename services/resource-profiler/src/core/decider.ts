import type { Decider } from '@serverless-ai/kernel'
import { decide } from './decide.ts'
import { evolve } from './evolve.ts'
import { fromJson, toJson } from './json.ts'
import type { ProfilerCommand, ProfilerEvent } from './messages.ts'
import type { ProfilerState } from './model.ts'
import { replaceSource } from './replace.ts'

/** The core of the resource profiler. */
export const profilerDecider: Decider<ProfilerState, ProfilerCommand, ProfilerEvent> = {
  initial: () => ({ jobs: new Map(), ended: [], services: new Map(), loads: new Map(), lastMs: 0 }),
  decide: (command, state, context) =>
    command.type === 'ReplaceSource'
      ? replaceSource(command, state, context)
      : decide(command, state, context),
  evolve,
  toJson,
  fromJson,
}
