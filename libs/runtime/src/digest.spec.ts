import { createHash } from 'node:crypto'
import { canonicalJson, type Json } from '@serverless-ai/kernel'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { digestOf } from './digest.ts'

/** The digest by its definition. */
function defined(value: unknown): string {
  const plain: Json = JSON.parse(JSON.stringify(value))
  return createHash('sha256').update(canonicalJson(plain)).digest('hex')
}

it('is the SHA-256 of the canonical JSON of what JSON text keeps', () => {
  const key = fc.oneof(fc.string(), fc.constantFrom('10', '9', '-1', 'a', '__proto__', 'toString'))
  const { tree } = fc.letrec((tie) => ({
    leaf: fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.constantFrom(null, undefined, -0)),
    tree: fc.oneof(
      { maxDepth: 4 },
      tie('leaf'),
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(key, tie('tree'), { maxKeys: 5 }),
    ),
  }))
  fc.assert(
    fc.property(tree, (value) => {
      const state = { value }
      expect(digestOf(state)).toBe(defined(state))
    }),
    { numRuns: 2_000 },
  )
})

it.each([
  ['numbers as keys', { 10: 'a', 9: 'b', x: { '007': 1, 7: 2 } }],
  ['a date', { at: new Date(0) }],
  ['a map, of which JSON keeps nothing', { map: new Map([[1, 2]]) }],
  ['half a surrogate pair', { '\ud800': '\udfff' }],
  ['holes', { list: [undefined, Number.NaN, 1] }],
])('takes %s as JSON does', (_what, value) => {
  expect(digestOf(value)).toBe(defined(value))
})
