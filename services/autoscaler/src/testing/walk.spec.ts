import { expect, it } from 'vitest'
import { runScalingWalk } from './walk.ts'

it('keeps its promises over 10,000 random steps', () => {
  const { holds, notes, ...counts } = runScalingWalk({ seed: 1, steps: 10_000 })
  // It went by what it is about.
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0)
  expect(Object.keys(holds)).toEqual(
    expect.arrayContaining(['METRICS_UNKNOWN', 'NOT_LOWER_LONG_ENOUGH']),
  )
  expect(Object.keys(notes)).toEqual(expect.arrayContaining(['AT_CEILING', 'AT_BUDGET']))
})
