import { expect, it } from 'vitest'
import { Restarts } from './restarts.ts'

/** Times at which a thing that is never up is started, looked at every second, s. */
function startsOf(restarts: Restarts, fromS: number, toS: number): number[] {
  const seconds = Array.from({ length: toS - fromS }, (_, i) => fromS + i)
  return seconds.filter((second) => restarts.mayStart('n1', second * 1_000))
}

it('what died is started at once, then ever more slowly', () => {
  expect(startsOf(new Restarts(), 0, 100)).toEqual([0, 2, 6, 14, 30, 60, 90])
})

it('what lived for a minute is started at once again', () => {
  const restarts = new Restarts()
  expect(startsOf(restarts, 0, 10)).toEqual([0, 2, 6])
  expect(startsOf(restarts, 66, 80)).toEqual([66, 68, 72])
})

it('one that dies does not slow down another one', () => {
  const restarts = new Restarts()
  expect(restarts.mayStart('n1', 0)).toBe(true)
  expect(restarts.mayStart('n1', 1_000)).toBe(false)
  expect(restarts.mayStart('n2', 1_000)).toBe(true)
})
