import { expect, it } from 'vitest'
import { runInterleavings } from './run.ts'

const HISTORIES = 50_000

it(`interleavings keep every promise of the log protocol, ${HISTORIES} on a fresh seed`, () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  console.log(`interleavings: seed ${seed}`)
  const summary = runInterleavings({ seed, count: HISTORIES })
  // They are worth something only if a lot happens in them.
  expect(summary.histories).toBe(HISTORIES)
  expect(summary.records).toBeGreaterThan(5 * HISTORIES)
  expect(summary.acknowledged).toBeGreaterThan(2 * HISTORIES)
  expect(summary.generations).toBeGreaterThan(HISTORIES)
})
