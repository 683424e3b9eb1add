/** A season has to explain so much, and to have been seen so often. */
const LEAST = 0.5
const TIMES = 3
const SHORTEST = 4

/** Length of the season of a series by its autocorrelation; 0 = none. Of textbook simplicity. */
export function seasonLength(values: readonly number[]): number {
  const count = values.length
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, count)
  const off = values.map((value) => value - mean)
  const variance = off.reduce((sum, value) => sum + value * value, 0)
  let best = 0
  let most = LEAST
  for (let lag = SHORTEST; lag <= count / TIMES; lag += 1) {
    let sum = 0
    for (let at = lag; at < count; at += 1) sum += (off[at] ?? 0) * (off[at - lag] ?? 0)
    const like = variance > 0 ? sum / variance : 0
    if (like > most) [best, most] = [lag, like]
  }
  return best
}
