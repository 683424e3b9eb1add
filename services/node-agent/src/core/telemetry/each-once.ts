/**
 * Readings in the order of their trust: a value that an earlier one has is taken out of the later
 * ones, so that counters of two sources never mix. What is left without a value is left out.
 */
export function eachOnce<R extends { readonly source: string }>(
  readings: readonly R[],
): readonly R[] {
  const seen = new Set<string>(['source'])
  return readings.flatMap((reading): readonly R[] => {
    const named = Object.entries(reading).filter(([, value]) => value !== undefined)
    const taken = named.filter(([name]) => seen.has(name) && name !== 'source')
    const rest = named.filter(([name]) => !seen.has(name))
    for (const [name] of rest) seen.add(name)
    if (rest.length === 0) return []
    return [{ ...reading, ...Object.fromEntries(taken.map(([name]) => [name, undefined])) }]
  })
}
