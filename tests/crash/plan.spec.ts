import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { MOMENTS, orderText, parseOrder } from './moments.ts'
import { nameOfKill, planKills, someMoments, TARGETS } from './plan.ts'
import { giveOrder, isOrdered, Trap, withdrawOrder } from './trap.ts'

it('an order survives its way through a file', () => {
  const order = { moment: 'mid-publish', nth: 3 } as const
  expect(parseOrder(orderText(order))).toEqual(order)
})

it('a moment that does not exist is refused', () => {
  expect(() => parseOrder('sometimes')).toThrow('no such moment: sometimes')
  expect(() => parseOrder('mid-publish:0')).toThrow('no such moment')
})

it('a trap counts from the order on, and only what was ordered', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sai-trap-'))
  try {
    const trap = new Trap(directory)
    expect(trap.hit('exit-unrecorded')).toBe(false)
    giveOrder(directory, { moment: 'exit-unrecorded', nth: 2 })
    expect(isOrdered(directory)).toBe(true)
    expect(trap.hit('exit-unreported')).toBe(false)
    expect([1, 2, 3].map(() => trap.hit('exit-unrecorded'))).toEqual([false, true, false])
    withdrawOrder(directory)
    expect(isOrdered(directory)).toBe(false)
    expect(trap.hit('exit-unrecorded')).toBe(false)
    giveOrder(directory, { moment: 'exit-unrecorded', nth: 1 })
    expect(trap.hit('exit-unrecorded')).toBe(true)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

it('a plan has every named moment once, every target, and the same seed plans the same', () => {
  const init = { seed: 5, random: TARGETS.length, moments: MOMENTS }
  const plan = planKills(init)
  expect(plan).toHaveLength(MOMENTS.length + TARGETS.length)
  const moments = plan.flatMap((kill) => (kill.at === 'moment' ? [kill.moment] : []))
  expect(moments.sort()).toEqual([...MOMENTS].sort())
  const targets = plan.flatMap((kill) => (kill.at === 'random' ? [kill.target] : []))
  expect(targets.sort()).toEqual([...TARGETS].sort())
  expect(planKills(init)).toEqual(plan)
})

it('a long plan repeats moments only after all of them came', () => {
  const chosen = someMoments(5, 2 * MOMENTS.length)
  expect(chosen).toHaveLength(2 * MOMENTS.length)
  expect(new Set(chosen)).toEqual(new Set(MOMENTS))
})

it('a kill is named by what dies, where and when', () => {
  const at = 'random' as const
  expect(nameOfKill({ at, target: 'agent', afterMs: 5, node: 1 })).toBe('agent of n2 after 5 ms')
  expect(nameOfKill({ at, target: 'machine', afterMs: 5, node: 1 })).toBe('machine after 5 ms')
  const moment = { at: 'moment', nth: 2, node: 0 } as const
  expect(nameOfKill({ ...moment, moment: 'ack-unread' })).toBe('ack-unread:2 on n1')
  expect(nameOfKill({ ...moment, moment: 'mid-publish' })).toBe('mid-publish:2')
})
