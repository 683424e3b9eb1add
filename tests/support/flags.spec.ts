import { describe, expect, it } from 'vitest'
import { duration, FlagError, wholeNumber, withNegatives } from './flags.ts'

describe('a whole number', () => {
  it.each([
    ['0', 0],
    ['7', 7],
    ['4294967295', 4_294_967_295],
  ])('%s is one', (text, value) => {
    expect(wholeNumber(text, 'seed', 0)).toBe(value)
  })

  it.each(['-1', '1.5', '1e3', '0x10', '', ' ', 'NaN', 'Infinity', '4294967296'])(
    'not from "%s"',
    (text) => {
      expect(() => wholeNumber(text, 'seed', 0)).toThrow(FlagError)
    },
  )

  it('says what it has to be, and what it was', () => {
    const text = '--seeds must be a whole number from 1 to 4294967295, not "0"'
    expect(() => wholeNumber('0', 'seeds', 1)).toThrow(text)
    expect(wholeNumber(undefined, 'seeds', 1)).toBeUndefined()
  })
})

describe('a length of time', () => {
  it('may be a fraction, not nothing', () => {
    expect(duration('0.5', 'hours')).toBe(0.5)
    expect(duration(undefined, 'hours')).toBeUndefined()
    for (const text of ['0', '-1', '', 'Infinity', 'x']) {
      expect(() => duration(text, 'hours')).toThrow(FlagError)
    }
  })
})

it('a negative number belongs to the flag before it', () => {
  expect(withNegatives(['--seeds', '-1', '--trace', '--about=x', '-2', 'y'])).toEqual([
    '--seeds=-1',
    '--trace',
    '--about=x',
    '-2',
    'y',
  ])
})
