import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { exp, log, pow } from './math.ts'

const near = (actual: number, wanted: number): boolean =>
  Object.is(actual, wanted) ||
  actual === wanted ||
  Math.abs(actual - wanted) <= 1e-14 * Math.abs(wanted) ||
  // Subnormal numbers have fewer digits.
  (Math.abs(wanted) < 2.3e-308 && Math.abs(actual - wanted) <= 5e-324)

const bits = (x: number): string => {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, x)
  return view.getBigUint64(0).toString(16).padStart(16, '0')
}

const GOLDEN = [
  '4005bf0a8b14576a',
  '3c93278bcd70e981',
  '7f18625c7d4f56c2',
  '3fe62e42fefa39ef',
  'c085963447f87fb5',
  '3e7ad7f2847b6492',
  '647f2dd011353699',
  '3c670ef54646d49c',
  'c333bfefa65abb83',
  '0000000000000001',
  '3fffec982d5bb8af',
]

const double = fc.double({ noNaN: true })

describe('portable maths', () => {
  it('exp agrees with the engine', () => {
    const x = fc.oneof(fc.double({ min: -750, max: 720, noNaN: true }), double)
    fc.assert(
      fc.property(x, (a) => near(exp(a), Math.exp(a))),
      { numRuns: 20_000 },
    )
  })

  it('log agrees with the engine', () => {
    const x = fc.oneof(fc.double({ min: 0.5, max: 2, noNaN: true }), double)
    fc.assert(
      fc.property(x, (a) => near(log(a), Math.log(a)) || (a < 0 && Number.isNaN(log(a)))),
      { numRuns: 20_000 },
    )
  })

  it('pow agrees with the engine', () => {
    const base = fc.oneof(fc.double({ min: 0.5, max: 3, noNaN: true }), double)
    const exponent = fc.oneof(
      fc.double({ min: -400, max: 400, noNaN: true }),
      fc.integer({ min: -1100, max: 1100 }),
      double,
    )
    fc.assert(
      fc.property(base, exponent, (x, y) => {
        const wanted = x ** y
        return Number.isNaN(wanted) ? Number.isNaN(pow(x, y)) : near(pow(x, y), wanted)
      }),
      { numRuns: 40_000 },
    )
  })

  it('pow treats special values as ECMAScript does', () => {
    const special = [0, -0, 1, -1, 2, -2, 3, 0.5, -0.5, 1e300, -1e300, 5e-324]
    const all = [...special, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
    for (const x of all) {
      for (const y of all) {
        const got = pow(x, y)
        const wanted = x ** y
        expect([x, y, got], `${x} ** ${y}`).toEqual([x, y, near(got, wanted) ? got : wanted])
        expect(Object.is(got, -0), `sign of ${x} ** ${y}`).toBe(Object.is(wanted, -0))
      }
    }
  })

  it('exp and log treat special values as ECMAScript does', () => {
    const special = [0, -0, 1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1]
    for (const x of special) {
      expect([x, log(x)]).toEqual([x, Math.log(x)])
      expect(near(exp(x), Math.exp(x))).toBe(true)
    }
  })

  it('gives these very bits on every machine', () => {
    const got = [exp(1), exp(-37.25), exp(700.5), log(2), log(1e-300), log(1.0000001)]
    const powers = [pow(1.5, 1000), pow(0.1, 17), pow(-3, 33), pow(2, -1074), pow(10, 0.3)]
    expect([...got, ...powers].map(bits)).toEqual(GOLDEN)
  })
})
