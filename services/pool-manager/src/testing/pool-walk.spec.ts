import { expect, test } from 'vitest'
import { runPoolWalk } from './pool-walk.ts'

test('random histories hold all promises of the pool', () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  process.stdout.write(`pool walk from seed ${seed}\n`)
  let started = 0
  let freed = 0
  for (let i = 0; i < 10; i += 1) {
    const result = runPoolWalk({ seed: seed + i, steps: 500 })
    started += result.started
    freed += result.freedRanks
  }
  expect(started).toBeGreaterThan(50)
  expect(freed).toBeGreaterThanOrEqual(started)
})
