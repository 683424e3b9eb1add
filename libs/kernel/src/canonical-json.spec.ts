import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CanonicalJsonError, canonicalJson } from './canonical-json.ts'
import type { Json } from './decider.ts'

const isJson = (value: unknown): value is Json => value !== undefined

/** The same value with members in reverse order. */
function reversed(value: Json): Json {
  if (Array.isArray(value)) return value.map(reversed)
  if (value === null || typeof value !== 'object') return value
  const members = Object.entries(value).map(([key, member]) => [key, reversed(member)] as const)
  return Object.fromEntries(members.reverse())
}

describe('canonicalJson', () => {
  it('sorts keys at every depth and writes no blanks', () => {
    expect(canonicalJson({ b: [{ d: 1, c: 'x' }], a: null })).toBe(
      '{"a":null,"b":[{"c":"x","d":1}]}',
    )
  })

  it('means the same as JSON and does not depend on the order of members', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        if (!isJson(value)) return
        const text = canonicalJson(value)
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
        expect(canonicalJson(reversed(value))).toBe(text)
      }),
    )
  })

  it('writes -0 as 0', () => {
    expect(canonicalJson([-0, 0])).toBe('[0,0]')
  })

  it.each([
    ['NaN', { a: [Number.NaN] }, '$.a[0]'],
    ['an infinity', Number.POSITIVE_INFINITY, '$'],
    ['an undefined member', { a: undefined }, '$.a'],
    ['a hole', new Array(1), '$[0]'],
    ['a Map', { m: new Map() }, '$.m'],
    ['a bigint', 1n, '$'],
    ['a function', () => 1, '$'],
  ])('refuses %s and says where', (_what, value, where) => {
    const call = (): string => canonicalJson(value as Json)
    expect(call).toThrow(CanonicalJsonError)
    expect(call).toThrow(`at ${where}`)
  })
})
