import { CLASSES, PIXELS, type Rows } from './data.ts'
import { seededRandom } from './random.ts'

/**
 * A perceptron 64 → hidden (ReLU) → 10 (softmax). All parameters lie in one flat vector, in this
 * order: weights of the hidden layer (hidden × 64), its biases (hidden), weights of the output
 * layer (10 × hidden), its biases (10). One vector is what gets summed over the ring and saved.
 */
export interface Shape {
  readonly hidden: number
}

/** How many parameters a model of this shape has. */
export function parameterCount({ hidden }: Shape): number {
  return hidden * PIXELS + hidden + CLASSES * hidden + CLASSES
}

function layout({ hidden }: Shape) {
  const hiddenBias = hidden * PIXELS
  const outWeights = hiddenBias + hidden
  return { hiddenBias, outWeights, outBias: outWeights + CLASSES * hidden }
}

/**
 * Initial parameters: uniform with the variance of He et al. 2015 (arXiv:1502.01852), biases 0.
 */
export function initialParameters(shape: Shape, seed: number): Float64Array {
  const next = seededRandom(seed)
  const { hiddenBias, outWeights, outBias } = layout(shape)
  const parameters = new Float64Array(parameterCount(shape))
  const fill = (from: number, to: number, fanIn: number) => {
    const limit = Math.sqrt(6 / fanIn)
    for (let i = from; i < to; i++) parameters[i] = (2 * next() - 1) * limit
  }
  fill(0, hiddenBias, PIXELS)
  fill(outWeights, outBias, shape.hidden)
  return parameters
}

/** Room for one forward pass; reused for every row. */
export interface Scratch {
  readonly hidden: Float64Array
  readonly hiddenGradient: Float64Array
  readonly probabilities: Float64Array
}

export function makeScratch({ hidden }: Shape): Scratch {
  return {
    hidden: new Float64Array(hidden),
    hiddenGradient: new Float64Array(hidden),
    probabilities: new Float64Array(CLASSES),
  }
}

/** One forward pass of row `row`; leaves the class probabilities in `scratch.probabilities`. */
export function forward(
  shape: Shape,
  parameters: Float64Array,
  rows: Rows,
  row: number,
  scratch: Scratch,
): void {
  const { hiddenBias, outWeights, outBias } = layout(shape)
  const { hidden, probabilities } = scratch
  const at = row * PIXELS
  for (let h = 0; h < shape.hidden; h++) {
    let sum = parameters[hiddenBias + h]!
    const w = h * PIXELS
    for (let i = 0; i < PIXELS; i++) sum += parameters[w + i]! * rows.pixels[at + i]!
    hidden[h] = Math.max(sum, 0)
  }
  let max = -Infinity
  for (let c = 0; c < CLASSES; c++) {
    let sum = parameters[outBias + c]!
    const w = outWeights + c * shape.hidden
    for (let h = 0; h < shape.hidden; h++) sum += parameters[w + h]! * hidden[h]!
    probabilities[c] = sum
    if (sum > max) max = sum
  }
  let total = 0
  for (let c = 0; c < CLASSES; c++) {
    // Shifted by the largest, so that exp cannot overflow.
    const e = Math.exp(probabilities[c]! - max)
    probabilities[c] = e
    total += e
  }
  for (let c = 0; c < CLASSES; c++) probabilities[c] = probabilities[c]! / total
}

/**
 * Adds the gradient of the cross-entropy of row `row`, times `scale`, to `gradient`.
 * @returns the row's cross-entropy in nats, unscaled
 */
export function addGradient(
  shape: Shape,
  parameters: Float64Array,
  rows: Rows,
  row: number,
  scale: number,
  gradient: Float64Array,
  scratch: Scratch,
): number {
  forward(shape, parameters, rows, row, scratch)
  const { hiddenBias, outWeights, outBias } = layout(shape)
  const { hidden, hiddenGradient, probabilities } = scratch
  const label = rows.labels[row]!
  const loss = -Math.log(Math.max(probabilities[label]!, Number.MIN_VALUE))
  hiddenGradient.fill(0)
  for (let c = 0; c < CLASSES; c++) {
    const error = scale * (probabilities[c]! - (c === label ? 1 : 0))
    const w = outWeights + c * shape.hidden
    gradient[outBias + c]! += error
    for (let h = 0; h < shape.hidden; h++) {
      gradient[w + h]! += error * hidden[h]!
      hiddenGradient[h]! += error * parameters[w + h]!
    }
  }
  const at = row * PIXELS
  for (let h = 0; h < shape.hidden; h++) {
    if (hidden[h]! <= 0) continue
    const error = hiddenGradient[h]!
    gradient[hiddenBias + h]! += error
    const w = h * PIXELS
    for (let i = 0; i < PIXELS; i++) gradient[w + i]! += error * rows.pixels[at + i]!
  }
  return loss
}

/** Pulls every parameter towards 0; worth about half a point of accuracy on unseen writers. */
const WEIGHT_DECAY = 0.0005
const MOMENTUM = 0.9

/** One step of stochastic gradient descent with momentum and weight decay, in place. */
export function descend(
  parameters: Float64Array,
  velocity: Float64Array,
  gradient: Float64Array,
  learningRate: number,
): void {
  for (let i = 0; i < parameters.length; i++) {
    const slope = gradient[i]! + WEIGHT_DECAY * parameters[i]!
    velocity[i] = MOMENTUM * velocity[i]! - learningRate * slope
    parameters[i] = parameters[i]! + velocity[i]!
  }
}

/** Share of rows whose most probable class is the label, 0 to 1. */
export function accuracy(shape: Shape, parameters: Float64Array, rows: Rows): number {
  const scratch = makeScratch(shape)
  let right = 0
  for (let row = 0; row < rows.count; row++) {
    forward(shape, parameters, rows, row, scratch)
    let best = 0
    for (let c = 1; c < CLASSES; c++) {
      if (scratch.probabilities[c]! > scratch.probabilities[best]!) best = c
    }
    if (best === rows.labels[row]) right++
  }
  return right / rows.count
}
