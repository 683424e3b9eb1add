import { Record } from '@serverless-ai/contracts/log/v1/record'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decodeCommit } from './decode-commit.ts'
import { type Commit, encodeClaim, encodeCommit } from './record.ts'

const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array))
const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.constant('\ufeffx'))
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 53n + 8n })
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const commits: fc.Arbitrary<Commit> = fc.record({
  commitId: bytes,
  epoch: uint64,
  sequence: uint64,
  prev: bytes,
  kind: fc.constantFrom(0, 1, 2, 3),
  atMs: fc.bigInt({ min: -5n, max: 2n ** 53n + 8n }),
  inputs: fc.array(fc.record({ source: text, partition: uint32, seq: uint64, offset: uint64 }), {
    maxLength: 3,
  }),
  answers: fc.array(fc.record({ requestId: text, bodyHash: bytes, outcome: text }), {
    maxLength: 3,
  }),
  events: fc.array(fc.record({ type: text, version: uint32, data: text }), { maxLength: 3 }),
  publics: fc.array(
    fc.record({ seq: uint64, type: text, key: text, tenant: text, payload: bytes }),
    { maxLength: 3 },
  ),
  runtime: fc.array(fc.record({ type: text, data: text }), { maxLength: 3 }),
})

/** A body without what the generated decoder keeps for itself. */
function plain(body: Record['body']): unknown {
  const text = JSON.stringify(body, (key, value) => {
    if (key === '_unknownFields') return undefined
    return typeof value === 'bigint' ? `${value}n` : value
  })
  return JSON.parse(text)
}

const generated = (record: Uint8Array): unknown => plain(Record.decode(record).body)

function own(record: Uint8Array): unknown {
  const found = decodeCommit(record)
  return found && plain(found.body)
}

it('reads what the generated decoder reads, or leaves it to that', () => {
  let read = 0
  fc.assert(
    fc.property(commits, (commit) => {
      const record = encodeCommit(commit)
      const found = own(record)
      if (found === undefined) return
      read += 1
      expect(found).toEqual(generated(record))
      // Names are known now.
      expect(own(record)).toEqual(found)
    }),
    { numRuns: 1_000, endOnFailure: true },
  )
  expect(read).toBeGreaterThan(50)
})

it('never reads damaged bytes otherwise than the generated decoder', () => {
  const positions = fc.nat(2_000)
  fc.assert(
    fc.property(commits, positions, fc.integer({ min: 1, max: 255 }), (commit, at, flip) => {
      const record = Uint8Array.from(encodeCommit(commit))
      const index = at % record.byteLength
      record[index] = (record[index] ?? 0) ^ flip
      for (const damaged of [record, record.subarray(0, index)]) {
        const found = own(damaged)
        if (found !== undefined) expect(found).toEqual(generated(damaged))
      }
    }),
    { numRuns: 3_000, endOnFailure: true },
  )
})

it('leaves claims and unknown fields to the generated decoder', () => {
  const claimId = Buffer.alloc(16, 1)
  const claim = { epoch: 1n, claimId, replica: 'r1', address: 'a', atMs: 1n }
  expect(decodeCommit(encodeClaim(claim))).toBeUndefined()
  const event = [0x4a, 3, 0x78, 1, 1]
  expect(decodeCommit(Uint8Array.from([0x12, event.length, ...event]))).toBeUndefined()
  expect(decodeCommit(Uint8Array.from([0x12, 0, 0]))).toBeUndefined()
})

it('takes no bytes for a name whose letters they only resemble', () => {
  const [commit] = fc.sample(commits, { numRuns: 1, seed: 1 })
  const record = (type: string): Buffer =>
    Buffer.from(encodeCommit({ ...commit!, events: [{ type, version: 0, data: '' }] }))
  // So many that some share a place among the names that are known.
  for (let number = 0; number < 4_000; number += 1) {
    own(record(`${number}\u00e9`))
    const invalid = record(`${number}#`)
    invalid[invalid.indexOf(`${number}#`) + String(number).length] = 0xe9
    expect(own(invalid)).toEqual(generated(invalid))
  }
})
