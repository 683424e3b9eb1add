import type { Decider } from '@serverless-ai/kernel'
import { decide } from './decide.ts'
import { evolve } from './evolve.ts'
import { fromJson, toJson } from './json.ts'
import type { SlaCommand, SlaEvent } from './messages.ts'
import type { SlaState } from './model.ts'
import { replaceSource } from './replace.ts'

/** The core of the SLA monitor. */
export const slaDecider: Decider<SlaState, SlaCommand, SlaEvent> = {
  initial: () => ({
    objectives: new Map(),
    sources: new Map(),
    jobs: new Map(),
    names: new Map(),
    count: 0,
    marks: [],
    intakeSinceMs: 0,
    lostForgotten: 0,
    lastMs: 0,
  }),
  decide: (command, state, context) =>
    command.type === 'ReplaceSource'
      ? replaceSource(command, state, context)
      : decide(command, state, context),
  evolve,
  toJson,
  fromJson,
}
