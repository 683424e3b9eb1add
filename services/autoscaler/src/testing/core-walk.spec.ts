import { expect, it } from 'vitest'
import { runCoreWalk } from './core-walk.ts'

it('keeps its promises over 2,000 random steps of a whole cell', () => {
  const { codes, ...counts } = runCoreWalk({ seed: 1, steps: 2_000 })
  // It went by what it is about.
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
  expect(Object.keys(codes)).toEqual(
    expect.arrayContaining(['METRICS_UNKNOWN', 'AT_CEILING', 'AT_BUDGET', 'DEVICES_SHORT']),
  )
})
