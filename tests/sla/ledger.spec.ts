import { StatementClosed } from '@serverless-ai/contracts/events/v1/sla_monitor'
import { runLedgerWalk } from '@serverless-ai/sla-monitor/testing'
import { expect, test } from 'vitest'
import { readLedger } from './reader.ts'

const NAMES = new Map([['j-0-1', 'chat']])
// A fresh seed each time; a failure names it.
const seed = (Date.now() % 1_000_000) + 1

test(`an independent reader finds no difference, seed ${seed}`, () => {
  const walk = runLedgerWalk({ seed, requests: 80_000 })
  expect(walk.differs).toBe('')
  expect(walk.openBreaches).toBe(0)
  const read = readLedger(walk, NAMES)
  expect(read.wrong).toEqual([])
  expect(read.differences).toBe(0)
  expect(read.countedBatches + walk.lost).toBe(walk.sent.length)
  expect(read.lostTold).toBeGreaterThan(0)
  expect(read.lostTold).toBeLessThanOrEqual(walk.lost)
  // A walk in which nothing happens proves nothing.
  expect(read.events).toBeGreaterThan(50_000)
  expect(read.statements).toBeGreaterThan(10)
  expect(read.breaches).toBeGreaterThan(3)
  expect(read.actions).toBeGreaterThan(3)
  expect(walk.repeated).toBeGreaterThan(100)
  expect(walk.lost).toBeGreaterThan(3)
}, 120_000)

test('the reader notices what is not so', () => {
  const walk = runLedgerWalk({ seed: 3, requests: 5_000 })
  expect(readLedger(walk, NAMES).differences).toBe(0)
  const one = walk.published.findLastIndex(({ type }) => type.endsWith('OutcomesCounted'))
  const without = walk.published.toSpliced(one, 1)
  expect(readLedger({ ...walk, published: without }, NAMES).differences).toBeGreaterThan(0)
  const forged = walk.sent.map((batch, n) => (n === 50 ? { ...batch, samples: [] } : batch))
  expect(readLedger({ ...walk, sent: forged }, NAMES).differences).toBeGreaterThan(0)
  const edited = walk.published.map((event) => {
    if (!event.type.endsWith('StatementClosed')) return event
    const { statement } = StatementClosed.decode(event.payload)
    if (statement === undefined) return event
    const better = { ...statement, targetPpm: statement.targetPpm - 1 }
    return { ...event, payload: StatementClosed.encode({ statement: better }).finish() }
  })
  expect(readLedger({ ...walk, published: edited }, NAMES).wrong[0]).toContain('another hash')
})

test('the same seed walks the same way', () => {
  const once = runLedgerWalk({ seed: 9, requests: 2_000 })
  expect(runLedgerWalk({ seed: 9, requests: 2_000 })).toEqual(once)
})
