import { expect, test } from 'vitest'
import { judgeHello, parseHello } from './rendezvous.ts'

const gang = { runId: 'job-1', generation: 4, worldSize: 4 }
const hello = { ...gang, rank: 2, ringPort: 40_000 }
const nobody = new Set([0])

test('a hello of this gang and generation is admitted', () => {
  expect(judgeHello(gang, hello, nobody)).toBeUndefined()
})

test.each([
  [{ generation: 3 }, 'GENERATION_MISMATCH', '4', '3'],
  [{ generation: 5 }, 'GENERATION_MISMATCH', '4', '5'],
  [{ runId: 'job-2' }, 'RUN_MISMATCH', 'job-1', 'job-2'],
  [{ worldSize: 8 }, 'WORLD_SIZE_MISMATCH', '4', '8'],
  [{ rank: 4 }, 'RANK_OUT_OF_RANGE', '0 to 3', '4'],
  [{ rank: 0.5 }, 'RANK_OUT_OF_RANGE', '0 to 3', '0.5'],
  [{ rank: 0 }, 'RANK_TAKEN', 'another rank', '0'],
])('%o is refused', (change, reason, want, got) => {
  expect(judgeHello(gang, { ...hello, ...change }, nobody)).toEqual({ reason, want, got })
})

test.each([undefined, null, 7, {}, { ...hello, rank: '2' }])('%o is no hello', (value) => {
  expect(judgeHello(gang, parseHello(value), nobody)).toMatchObject({ reason: 'MALFORMED' })
})
