import { expect, it } from 'vitest'
import { SourceGaps } from './source-gaps.ts'

const batch = (seq: bigint, bootId = 'b1', source = 'gateway/r1') => ({ source, bootId, seq })

it('tells for how long batches did not come, and a source that rests from that', () => {
  const gaps = new SourceGaps()
  expect(gaps.take(batch(7n), 1_000)).toBe(0)
  expect(gaps.take(batch(8n), 2_000)).toBe(0)
  // It had nothing to say.
  expect(gaps.take(batch(9n), 302_000)).toBe(0)
  expect(gaps.take(batch(400n), 602_000)).toBe(300_000)
  expect(gaps.take(batch(400n), 603_000)).toBe(0)
  expect(gaps.take(batch(200n), 603_000)).toBe(0)
  expect(gaps.take(batch(401n), 604_000)).toBe(0)
})

it('knows nothing of what was sent before a boot was heard', () => {
  const gaps = new SourceGaps()
  gaps.take(batch(3n), 1_000)
  expect(gaps.take(batch(9n, 'b2'), 50_000)).toBe(0)
  expect(gaps.take(batch(9n, 'b1', 'gateway/r2'), 50_000)).toBe(0)
})
