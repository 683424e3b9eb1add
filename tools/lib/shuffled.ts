/** Another order with each seed: sorted by a hash of seed and name (FNV-1a). */
export function shuffled(names: readonly string[], seed: number): readonly string[] {
  const hash = (text: string): number => {
    let value = 0x811c9dc5
    for (const char of text) value = Math.imul(value ^ char.charCodeAt(0), 0x01000193) >>> 0
    return value
  }
  return [...names].sort((a, b) => hash(`${seed}/${a}`) - hash(`${seed}/${b}`))
}
