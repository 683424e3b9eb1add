import { runCoreWalk, runScalingWalk } from '@serverless-ai/autoscaler/testing'
import { runInterleavings } from '@serverless-ai/eventlog/testing'
import { runPoolWalk } from '@serverless-ai/pool-manager/testing'
import { runRuntimeHistories } from '@serverless-ai/runtime/testing'
import { runSchedulerWalk } from '@serverless-ai/scheduler/testing'
import { inPieces } from './pieces.ts'

/** Random histories of the log protocol against the independent reference. */
export const interleavings = inPieces({
  name: 'interleavings',
  about: 'COUNT (default 1,000,000) random histories of the log protocol against a reference',
  full: 1_000_000,
  slice: 100_000,
  perCase: 10_000,
  run: ({ seed, first, count }) => ({ ...runInterleavings({ seed, first, count }) }),
})

/** Random histories of the real runtime over the faulty memory log. */
export const runtimeHistories = inPieces({
  name: 'runtime-histories',
  about: 'COUNT (default 50,000) random histories of the runtime: duels, storms, kills, pauses',
  full: 50_000,
  slice: 2_000,
  perCase: 500,
  run: async ({ seed, first, count }) => ({
    ...(await runRuntimeHistories({ seed, first, count })),
  }),
})

/** Random steps of the scheduler's core against an independent ledger. */
export const schedulerWalk = inPieces({
  name: 'scheduler-walk',
  about: 'COUNT (default 100,000) random steps of the scheduler core against a ledger',
  full: 100_000,
  slice: 20_000,
  perCase: 10_000,
  run: ({ seed, first, count }) => ({ ...runSchedulerWalk({ seed: seed + first, steps: count }) }),
})

/** Random steps of the pool manager's core with simulated agents. */
export const poolWalk = inPieces({
  name: 'pool-walk',
  about: 'COUNT (default 100,000) random steps of the pool manager core with simulated agents',
  full: 100_000,
  slice: 20_000,
  perCase: 10_000,
  run: ({ seed, first, count }) => ({ ...runPoolWalk({ seed: seed + first, steps: count }) }),
})

/** Random steps of the autoscaler's core: limits, lost metrics, constant load, replay. */
export const scalingWalk = inPieces({
  name: 'scaling-walk',
  about: 'COUNT (default 1,000,000) random steps of the autoscaler core with checks at each',
  full: 1_000_000,
  slice: 20_000,
  perCase: 10_000,
  run: ({ seed, first, count }) => ({ ...runScalingWalk({ seed: seed + first, steps: count }) }),
})

/** Random steps of the autoscaler as a whole: services, training, devices, refusals, replay. */
export const autoscalerWalk = inPieces({
  name: 'autoscaler-walk',
  about: 'COUNT (default 200,000) random steps of the autoscaler of a whole cell, checked at each',
  full: 200_000,
  slice: 5_000,
  perCase: 2_500,
  run: ({ seed, first, count }) => ({ ...runCoreWalk({ seed: seed + first, steps: count }) }),
})
