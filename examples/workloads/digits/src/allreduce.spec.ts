import fc from 'fast-check'
import { expect, test } from 'vitest'
import { allReduceSum, chunkRange, type RingLink } from './allreduce.ts'

/** A ring in memory: one queue per edge, a receiver waits until its queue holds something. */
function memoryRing(worldSize: number): RingLink[] {
  const edges = Array.from({ length: worldSize }, () => ({
    chunks: [] as Float64Array[],
    waiter: undefined as ((chunk: Float64Array) => void) | undefined,
  }))
  return edges.map((_, rank) => ({
    rank,
    worldSize,
    exchange(out, length) {
      const right = edges[rank]!
      const copy = out.slice()
      if (right.waiter === undefined) right.chunks.push(copy)
      else right.waiter(copy)
      const left = edges[(rank - 1 + worldSize) % worldSize]!
      return new Promise<Float64Array>((resolve) => {
        const take = (chunk: Float64Array) => {
          left.waiter = undefined
          expect(chunk.length).toBe(length)
          resolve(chunk)
        }
        const ready = left.chunks.shift()
        if (ready !== undefined) take(ready)
        else left.waiter = take
      })
    },
  }))
}

async function reduce(vectors: readonly Float64Array[]): Promise<Float64Array[]> {
  const results = vectors.map((vector) => vector.slice())
  const links = memoryRing(vectors.length)
  await Promise.all(results.map((vector, rank) => allReduceSum(vector, links[rank]!)))
  return results
}

const gang = (numbers: fc.Arbitrary<number>) =>
  fc
    .tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 0, max: 40 }))
    .chain(([worldSize, length]) =>
      fc.array(
        fc.array(numbers, { minLength: length, maxLength: length }).map((a) => new Float64Array(a)),
        { minLength: worldSize, maxLength: worldSize },
      ),
    )

test('the sum of whole numbers is exactly the naive one, on every rank', async () => {
  await fc.assert(
    fc.asyncProperty(gang(fc.integer()), async (vectors) => {
      const naive = vectors[0]!.map((_, i) => vectors.reduce((sum, v) => sum + v[i]!, 0))
      for (const result of await reduce(vectors)) expect(result).toEqual(naive)
    }),
  )
})

test('fractions are added in ring order from the chunk’s own rank, bit by bit', async () => {
  const fraction = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 })
  await fc.assert(
    fc.asyncProperty(gang(fraction), async (vectors) => {
      const count = vectors.length
      const length = vectors[0]!.length
      const want = new Float64Array(length)
      for (let index = 0; index < count; index++) {
        const { from, to } = chunkRange({ length, count, index })
        for (let i = from; i < to; i++) {
          let sum = vectors[index]![i]!
          for (let k = 1; k < count; k++) sum += vectors[(index + k) % count]![i]!
          want[i] = sum
        }
      }
      for (const result of await reduce(vectors)) {
        expect(Buffer.from(result.buffer).equals(Buffer.from(want.buffer))).toBe(true)
      }
    }),
  )
})

test('chunks cover the vector once, in order', () => {
  const sizes = fc.tuple(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 1, max: 64 }))
  fc.assert(
    fc.property(sizes, ([length, count]) => {
      let at = 0
      for (let index = 0; index < count; index++) {
        const { from, to } = chunkRange({ length, count, index })
        expect(from).toBe(at)
        at = to
      }
      expect(at).toBe(length)
    }),
  )
})
