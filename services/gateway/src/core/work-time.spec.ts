import { seededRandomness } from '@serverless-ai/kernel/testing'
import { expect, test } from 'vitest'
import { WorkTime } from './work-time.ts'

test('equal times are told as they are', () => {
  const work = new WorkTime()
  expect(work.ms).toBe(0)
  for (let n = 0; n < 100; n += 1) work.took(80)
  expect(work.ms).toBe(80)
})

test('most requests stay below, and it follows them', () => {
  const work = new WorkTime()
  const random = seededRandomness(3)
  for (const mean of [100, 400, 50]) {
    let below = 0
    for (let n = 0; n < 400; n += 1) {
      const ms = mean * (0.5 + random.float())
      if (n >= 100 && ms <= work.ms) below += 1
      work.took(ms)
    }
    expect(below / 300).toBeGreaterThan(0.85)
    expect(work.ms).toBeLessThan(mean * 2)
  }
})
