import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ReportedLine } from './model.ts'
import { LINE_MAX_CHARS, lineKind, linesToEvents } from './report-lines.ts'

const key = { jobId: 'j-0-1', gang: 0, generation: 1, rank: 0 }
const line = (number: number, kind: string): ReportedLine => {
  return { key, line: number, json: JSON.stringify({ kind, n: number, path: '/c' }) }
}
const taken = (lines: readonly ReportedLine[], last: number | undefined) =>
  linesToEvents(lines, () => last).map((event) => (event.type === 'TaskReported' ? event.line : 0))

test('of the progress lines only the newest is kept, other lines all', () => {
  const lines = ['progress', 'checkpoint', 'progress', 'checkpoint', 'progress', 'result'].map(
    (kind, index) => line(index + 1, kind),
  )
  expect(taken(lines, 0)).toEqual([2, 4, 5, 6])
})

test('lines that were taken before, unknown kinds and broken JSON are dropped', () => {
  const broken = { key, line: 4, json: '{"kind":' }
  const lines = [line(1, 'result'), line(2, 'journal'), line(3, 'checkpoint'), broken]
  expect(taken(lines, 1)).toEqual([3])
  expect(taken(lines, undefined)).toEqual([])
})

test.each([
  ['{"kind":"checkpoint","step":1}', undefined],
  ['{"kind":"checkpoint","step":1,"path":""}', undefined],
  ['{"kind":"checkpoint","step":1,"path":7}', undefined],
  ['{"kind":"checkpoint","step":1}', undefined],
  ['{"kind":"checkpoint","step":1,"path":"j-1/gen-1/step-1"}', 'checkpoint'],
  ['{"kind":"checkpoint","step":1,"path":"/c/step-1"}', 'checkpoint'],
])('a checkpoint needs a path: %s', (json, kind) => {
  expect(lineKind(json)).toBe(kind)
})

test('a line is never longer than its bound', () => {
  const long = JSON.stringify({ kind: 'result', text: 'x'.repeat(LINE_MAX_CHARS) })
  expect(lineKind(long)).toBeUndefined()
})

test('whatever comes, line numbers only grow', () => {
  const kinds = fc.constantFrom('progress', 'checkpoint', 'result', 'other')
  const lines = fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), kinds))
  fc.assert(
    fc.property(lines, fc.integer({ min: 0, max: 30 }), (raw, last) => {
      const numbers = taken(
        raw.map(([number, kind]) => line(number, kind)),
        last,
      )
      expect(numbers.every((n, i) => n > (numbers[i - 1] ?? last))).toBe(true)
    }),
  )
})
