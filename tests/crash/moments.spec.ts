import { expect, it } from 'vitest'
import { MOMENTS, orderText, parseOrder } from './moments.ts'
import { planKills } from './plan.ts'

it('an order survives its way through the environment', () => {
  const order = { moment: 'mid-publish', nth: 3 } as const
  expect(parseOrder(orderText(order))).toEqual(order)
})

it('without a variable there is no order', () => {
  expect(parseOrder(undefined)).toBeUndefined()
  expect(parseOrder('')).toBeUndefined()
})

it('a moment that does not exist is refused', () => {
  expect(() => parseOrder('sometimes')).toThrow('no such moment: sometimes')
  expect(() => parseOrder('mid-publish:0')).toThrow('no such moment')
})

it('a plan has every named moment once, and the same seed plans the same', () => {
  const plan = planKills({ seed: 5, random: 20, moments: MOMENTS })
  expect(plan).toHaveLength(31)
  const moments = plan.flatMap((kill) => (kill.at === 'moment' ? [kill.moment] : []))
  expect(moments.sort()).toEqual([...MOMENTS].sort())
  expect(planKills({ seed: 5, random: 20, moments: MOMENTS })).toEqual(plan)
})
