/**
 * When an alert fires and ends, by the closed formula alone, in continuous time. Traffic is steady
 * from 0 on, the error rate is constant between the times of a pattern; so bad events in a window
 * are a piecewise linear function of its end, and its crossings are roots of straight lines.
 */

/** From `fromMs` on, the share `rate` of all events is bad. */
export type Pattern = readonly { readonly fromMs: number; readonly rate: number }[]

/** Bad events before `atMs`, in units of traffic per ms. */
function badBefore(pattern: Pattern, atMs: number): number {
  let sum = 0
  for (const [index, { fromMs, rate }] of pattern.entries()) {
    const untilMs = Math.min(atMs, pattern[index + 1]?.fromMs ?? Number.POSITIVE_INFINITY)
    if (untilMs > fromMs) sum += (untilMs - fromMs) * rate
  }
  return sum
}

/** How far the window that ends at `atMs` is above the share `limit` of bad ones; ≥ 0: it burns. */
function above(init: { pattern: Pattern; windowMs: number; limit: number }, atMs: number): number {
  const { pattern, windowMs, limit } = init
  const fromMs = Math.max(0, atMs - windowMs)
  return badBefore(pattern, atMs) - badBefore(pattern, fromMs) - limit * (atMs - fromMs)
}

/** Times between which a window burns, as [from, until) until `endMs`. */
function burning(
  init: { pattern: Pattern; windowMs: number; limit: number },
  endMs: number,
): readonly (readonly [number, number])[] {
  const { pattern, windowMs } = init
  const bends = pattern.flatMap(({ fromMs }) => [fromMs, fromMs + windowMs])
  const times = [...new Set([0, windowMs, ...bends, endMs])]
    .filter((ms) => ms <= endMs)
    .sort((a, b) => a - b)
  const spans: [number, number][] = []
  for (const [index, from] of times.entries()) {
    const until = times[index + 1]
    if (until === undefined) break
    // A straight line between two bends.
    const [a, b] = [above(init, from), above(init, until)]
    const root = from + ((until - from) * a) / (a - b)
    if (a >= 0 && b >= 0 && a + b > 0) spans.push([from, until])
    else if (a < 0 && b > 0) spans.push([root, until])
    else if (a > 0 && b < 0) spans.push([from, root])
  }
  return joined(spans)
}

function joined(spans: readonly [number, number][]): readonly [number, number][] {
  const all: [number, number][] = []
  for (const [from, until] of spans) {
    const last = all.at(-1)
    if (last !== undefined && from - last[1] < 1e-6) last[1] = until
    else all.push([from, until])
  }
  return all
}

/** Times between which a rule fires: both windows burn at its rate. */
export function firing(
  pattern: Pattern,
  rule: { readonly longMs: number; readonly shortMs: number; readonly limit: number },
  endMs: number,
): readonly (readonly [number, number])[] {
  const { longMs, shortMs, limit } = rule
  const long = burning({ pattern, windowMs: longMs, limit }, endMs)
  const short = burning({ pattern, windowMs: shortMs, limit }, endMs)
  return joined(
    long.flatMap(([from, until]) =>
      short.flatMap(([shortFrom, shortUntil]): [number, number][] => {
        const both: [number, number] = [Math.max(from, shortFrom), Math.min(until, shortUntil)]
        return both[1] - both[0] > 1e-6 ? [both] : []
      }),
    ),
  )
}
