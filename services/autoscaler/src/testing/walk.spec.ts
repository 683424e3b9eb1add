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

it('takes a queue under constant load for no change of the load', () => {
  // This walk went down by a wrong belief and up again for what then waited, within a start-up.
  expect(() => runScalingWalk({ seed: 20_471_122, steps: 6_000 })).not.toThrow()
})
