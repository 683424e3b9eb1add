import { expect, test } from 'vitest'
import { augmentRow } from './augment.ts'
import type { Rows } from './data.ts'
import {
  addGradient,
  descend,
  initialParameters,
  makeScratch,
  parameterCount,
  type Shape,
} from './model.ts'
import { epochOrder, seededRandom } from './random.ts'

const shape: Shape = { hidden: 7 }

function randomRows(count: number): Rows {
  const next = seededRandom(5)
  return {
    count,
    pixels: Float64Array.from({ length: count * 64 }, next),
    labels: Uint8Array.from({ length: count }, (_, i) => i % 10),
  }
}

function lossOf(parameters: Float64Array, rows: Rows): number {
  const ignored = new Float64Array(parameters.length)
  return addGradient(shape, parameters, rows, 0, 1, ignored, makeScratch(shape))
}

test('the gradient is the slope of the loss in every parameter', () => {
  const rows = randomRows(1)
  const parameters = initialParameters(shape, 3)
  const gradient = new Float64Array(parameterCount(shape))
  addGradient(shape, parameters, rows, 0, 1, gradient, makeScratch(shape))
  const h = 1e-6
  for (let i = 0; i < parameters.length; i++) {
    const up = parameters.with(i, parameters[i]! + h)
    const down = parameters.with(i, parameters[i]! - h)
    const slope = (lossOf(up, rows) - lossOf(down, rows)) / (2 * h)
    expect(Math.abs(gradient[i]! - slope)).toBeLessThan(1e-6)
  }
})

test('a step of descent lowers the loss', () => {
  const rows = randomRows(1)
  const parameters = initialParameters(shape, 3)
  const before = lossOf(parameters, rows)
  const gradient = new Float64Array(parameters.length)
  addGradient(shape, parameters, rows, 0, 1, gradient, makeScratch(shape))
  descend(parameters, new Float64Array(parameters.length), gradient, 0.05)
  expect(lossOf(parameters, rows)).toBeLessThan(before)
})

test('an augmented row repeats for its seed and differs for another', () => {
  const rows = randomRows(2)
  const warped = (seed: number) => {
    const out: Rows = { count: 1, pixels: new Float64Array(64), labels: new Uint8Array(1) }
    augmentRow(rows, 1, out, seed)
    return out
  }
  expect(warped(9)).toEqual(warped(9))
  expect(warped(9).pixels).not.toEqual(warped(10).pixels)
  expect(warped(9).labels[0]).toBe(rows.labels[1])
})

test('an epoch visits every row once, in an order of its own', () => {
  const first = epochOrder({ seed: 1, epoch: 0, rows: 100 })
  const second = epochOrder({ seed: 1, epoch: 1, rows: 100 })
  expect([...first].sort((a, b) => a - b)).toEqual([...first.keys()])
  expect(first).not.toEqual(second)
  expect(first).toEqual(epochOrder({ seed: 1, epoch: 0, rows: 100 }))
})
