import { expect, test } from 'vitest'
import { Engine } from './engine.ts'
import { latencyTables, timeAt } from './latency.ts'

const table = {
  promptMs: [
    [100, 50],
    [200, 100],
  ],
  tokenMs: [
    [1, 10],
    [4, 16],
  ],
} as const

/** Time that passes by hand. */
function engineOf(batchMax = 8) {
  let nowMs = 0
  const due: { atMs: number; fn: () => void }[] = []
  const timers = { after: (ms: number, fn: () => void) => void due.push({ atMs: nowMs + ms, fn }) }
  const engine = new Engine({ table, batchMax, timers })
  const run = () => {
    for (let next = due.shift(); next !== undefined; next = due.shift()) {
      nowMs = next.atMs
      next.fn()
    }
  }
  const add = (promptTokens: number, answerTokens: number) => {
    const times: number[] = []
    const sequence = { promptTokens, answerTokens, onToken: () => void times.push(nowMs) }
    engine.add(sequence)
    return { times, sequence }
  }
  return { engine, add, run }
}

test('a curve is met at its points, and goes on beyond them', () => {
  expect(timeAt(table.promptMs, 1)).toBe(50)
  expect(timeAt(table.promptMs, 150)).toBe(75)
  expect(timeAt(table.promptMs, 200)).toBe(100)
  expect(timeAt(table.promptMs, 400)).toBe(200)
  for (const { promptMs, tokenMs } of Object.values(latencyTables().tables)) {
    for (const [size, ms] of promptMs) expect(timeAt(promptMs, size)).toBeCloseTo(ms)
    for (const [size, ms] of tokenMs) expect(timeAt(tokenMs, size)).toBeCloseTo(ms)
  }
})

test('alone: the prompt, then a token at a time', () => {
  const { add, run } = engineOf()
  const { times } = add(100, 4)
  run()
  expect(times).toEqual([50, 60, 70, 80])
})

test('those that come meanwhile join between two steps, and slow the others down', () => {
  const { add, run } = engineOf()
  const first = add(100, 4)
  const second = add(200, 2)
  run()
  // 50: first prompt. 150: second prompt; then both are decoded together.
  expect(second.times).toEqual([150, 162])
  expect(first.times).toEqual([50, 162, 172, 182])
})

test('no more than the batch are decoded together', () => {
  const { engine, add, run } = engineOf(1)
  const first = add(100, 2)
  const second = add(100, 1)
  expect([engine.running, engine.waiting]).toEqual([1, 1])
  run()
  expect(first.times).toEqual([50, 60])
  expect(second.times).toEqual([110])
})

test('a caller that leaves makes room', () => {
  const { engine, add, run } = engineOf(1)
  const first = add(100, 1_000)
  const second = add(100, 1)
  engine.remove(first.sequence)
  run()
  expect(first.times).toEqual([])
  expect(second.times).toEqual([100])
  expect([engine.running, engine.waiting]).toEqual([0, 0])
})
