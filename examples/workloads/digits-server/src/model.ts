import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** Pixels of an image, 8 × 8, row by row. */
export const PIXELS = 64
/** Brightest pixel as the data set counts. */
export const PIXEL_MAX = 16
const CLASSES = 10
const MAGIC = 'SAI-DIGITS-1'

/** The checkpoint is missing, damaged, or none of the digits example. */
export class ModelError extends Error {
  override readonly name = 'ModelError'
}

/** A perceptron 64 → hidden (ReLU) → 10 (softmax), as the digits example trains it. */
export interface Model {
  /** Steps that it was trained for. */
  readonly step: number
  readonly hidden: number
  /** Weights of the hidden layer, its biases, weights of the output layer, its biases. */
  readonly parameters: Float64Array
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

function lineOf(bytes: Buffer): { line: string; rest: Buffer } {
  const end = Math.max(0, bytes.indexOf(10))
  return { line: bytes.toString('utf8', 0, end), rest: bytes.subarray(end + 1) }
}

/**
 * Reads a checkpoint of the digits example.
 * @throws ModelError when it is missing, damaged, or something else
 */
export function loadModel(file: string): Model {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (error) {
    throw new ModelError(`cannot read ${file}: ${String(error)}`)
  }
  const { line, rest } = lineOf(bytes)
  const [magic, digest] = line.split(' ')
  if (magic !== MAGIC) throw new ModelError(`${file} is no checkpoint of the digits example`)
  if (digest !== `sha256:${sha256(rest)}`) throw new ModelError(`${file} is damaged`)
  const body = lineOf(rest)
  const header: { step: number; parameters: number; settings: { hidden: number } } = JSON.parse(
    body.line,
  )
  const { step, parameters: count, settings } = header
  const { hidden } = settings
  const expected = hidden * PIXELS + hidden + CLASSES * hidden + CLASSES
  if (count !== expected) throw new ModelError(`${file} has ${count} parameters, not ${expected}`)
  // A copy, because a Float64Array needs an aligned start.
  const parameters = new Float64Array(new Uint8Array(body.rest.subarray(0, count * 8)).buffer)
  return { step, hidden, parameters }
}

/**
 * What a digit is.
 * @param pixels 64 numbers, 0 to 16
 */
export function predict(
  { hidden, parameters }: Model,
  pixels: readonly number[],
): { digit: number; probabilities: number[] } {
  const hiddenBias = hidden * PIXELS
  const outWeights = hiddenBias + hidden
  const outBias = outWeights + CLASSES * hidden
  const at = (index: number): number => parameters[index] ?? 0
  const layer = Array.from({ length: hidden }, (_, h) => {
    const sum = pixels.reduce(
      (total, pixel, i) => total + (at(h * PIXELS + i) * pixel) / PIXEL_MAX,
      at(hiddenBias + h),
    )
    return Math.max(0, sum)
  })
  const scores = Array.from({ length: CLASSES }, (_, c) =>
    layer.reduce(
      (total, value, h) => total + at(outWeights + c * hidden + h) * value,
      at(outBias + c),
    ),
  )
  // Shifted by the largest, so that exp cannot overflow.
  const largest = Math.max(...scores)
  const powers = scores.map((score) => Math.exp(score - largest))
  const total = powers.reduce((sum, power) => sum + power, 0)
  const probabilities = powers.map((power) => power / total)
  return { digit: probabilities.indexOf(Math.max(...probabilities)), probabilities }
}
