import { expect, test } from 'vitest'
import { runSchedulerWalk } from './walk.ts'

// A fresh seed each time; a failure names it.
const seed = (Date.now() % 1_000_000) + 1

test(`5,000 random steps from seed ${seed} keep every promise`, () => {
  const { events, refusals, reasons } = runSchedulerWalk({ seed, steps: 5_000 })
  // A walk that never gets anywhere proves nothing.
  for (const type of [
    ...['GangPlaced', 'JobRecovering', 'JobSucceeded', 'NodeLost', 'RanksFreed'],
    ...['ScaleChanged', 'ReplicasAdded', 'ReplicaReady', 'ReplicaRemoved'],
  ]) {
    expect(events[type], type).toBeGreaterThan(20)
  }
  for (const code of ['CAPACITY_WAIT', 'GANG_INCOMPLETE', 'QUOTA_WAIT', 'BACKOFF']) {
    expect(reasons[code], code).toBeGreaterThan(0)
  }
  expect(refusals['NO_MATCHING_NODE']).toBeGreaterThan(0)
  expect(refusals['STALE_GENERATION']).toBeGreaterThan(0)
  for (const type of [
    'UpdateStarted',
    'UpdateFinished',
    'CheckpointRequested',
    'ReplicaDraining',
  ]) {
    expect(events[type], type).toBeGreaterThan(1)
  }
  for (const code of ['SCALE_OWNED', 'STALE_SCALE', 'SCALE_OUT_OF_RANGE']) {
    expect(refusals[code], code).toBeGreaterThan(0)
  }
}, 120_000)

test('updates stall in walks, too', () => {
  // Rarer than what every seed has to see.
  expect(runSchedulerWalk({ seed: 904_670, steps: 5_000 }).events['UpdateStalled']).toBe(1)
}, 120_000)

test('the same seed walks the same way', () => {
  const once = runSchedulerWalk({ seed: 7, steps: 300 })
  expect(runSchedulerWalk({ seed: 7, steps: 300 })).toEqual(once)
})
