import type { Decider } from '@serverless-ai/kernel'
import { decide } from './decide.ts'
import { evolve } from './evolve.ts'
import { fromJson, toJson } from './json.ts'
import type { AutoscalerCommand, AutoscalerEvent } from './messages.ts'
import { type AutoscalerState, initialState } from './model.ts'
import { replaceSource } from './replace.ts'

/** The core of the autoscaler. */
export const autoscalerDecider: Decider<AutoscalerState, AutoscalerCommand, AutoscalerEvent> = {
  initial: initialState,
  decide: (command, state, context) =>
    command.type === 'ReplaceSource'
      ? replaceSource(command, state, context)
      : decide(command, state, context),
  evolve,
  toJson,
  fromJson,
}
