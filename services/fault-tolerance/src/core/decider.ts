import type { Decider } from '@serverless-ai/kernel'
import { decide } from './decide.ts'
import { evolve } from './evolve.ts'
import { fromJson, toJson } from './json.ts'
import type { FaultCommand, FaultEvent } from './messages.ts'
import type { FaultState } from './model.ts'
import { replaceSource } from './replace.ts'

/** The core of fault tolerance. */
export const faultDecider: Decider<FaultState, FaultCommand, FaultEvent> = {
  initial: () => ({ jobs: new Map(), nodes: new Map(), incidents: new Map(), endedJobs: [] }),
  decide: (command, state, context) =>
    command.type === 'ReplaceSource'
      ? replaceSource(command, state, context)
      : decide(command, state, context),
  evolve,
  toJson,
  fromJson,
}
