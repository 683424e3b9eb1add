import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeRecord, encodeClaim, encodeRecord, type Record, sha256 } from './record.ts'

const claim = (replica: string) => ({
  epoch: 3n,
  claimId: Buffer.alloc(16, 1),
  replica,
  address: 'h:1',
  atMs: 5n,
})

describe('records', () => {
  it('have bytes of their own, whatever was written before', () => {
    const sizes = fc.oneof(fc.nat(300), fc.nat(200_000))
    fc.assert(
      fc.property(fc.array(sizes, { minLength: 2, maxLength: 4 }), (lengths) => {
        const records = lengths.map((length, index): Record => {
          return { body: { $case: 'claim', value: claim(String(index).repeat(length)) } }
        })
        const all = records.map((record) => encodeRecord(record))
        for (const [index, { body }] of records.entries()) {
          expect(decodeRecord(all[index]!).body).toMatchObject({ ...body })
        }
      }),
      { numRuns: 50 },
    )
  })

  it('that cannot be written leave nothing behind', () => {
    const before = encodeClaim(claim('a'))
    expect(() => encodeClaim({ ...claim('a'), atMs: 2n ** 70n })).toThrow()
    expect(encodeClaim(claim('a'))).toEqual(before)
  })
})

describe('sha256', () => {
  it('is that of the pieces joined, small or large, and stays', () => {
    const piece = fc
      .oneof(fc.nat(100), fc.nat(70_000))
      .map((length) => Buffer.alloc(length, length))
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 3 }), (pieces) => {
        const wanted = createHash('sha256').update(Buffer.concat(pieces)).digest('hex')
        const found = sha256(...pieces)
        sha256(Buffer.alloc(99, 1))
        expect(Buffer.from(found).toString('hex')).toBe(wanted)
      }),
    )
  })
})
