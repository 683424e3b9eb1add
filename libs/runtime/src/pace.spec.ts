import { expect, it } from 'vitest'
import { Pace } from './pace.ts'

it('a duty takes at most one percent of the time', () => {
  const pace = new Pace()
  expect(pace.ready(0)).toBe(true)
  pace.took(20, 20)
  expect([pace.ready(2019), pace.ready(2020)]).toEqual([false, true])
})
