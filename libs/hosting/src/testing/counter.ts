import { accept } from '@serverless-ai/kernel'
import type { ServiceDefinition } from '@serverless-ai/runtime'

export type Count = { count: number }
export type Add = { type: 'Add' }
export type Added = { type: 'Added' }

/** The smallest service there is: counts its commands. Named like a real one, so peers find it. */
export const counter: ServiceDefinition<Count, Add, Added> = {
  name: 'scheduler',
  schemaVersion: 1,
  decider: {
    initial: () => ({ count: 0 }),
    decide: (_, state) => accept([{ type: 'Added' }], { answer: state.count + 1 }),
    evolve: (state) => {
      state.count += 1
      return state
    },
    toJson: (state) => state,
    fromJson: (json) => json as Count,
  },
  publish: () => [],
  snapshotFeed: () => [],
  inputs: [],
}
