import type { SeededRandomness } from '@serverless-ai/kernel/testing'
import { arbitrateBytes, initialArbitration } from '../../arbitration.ts'
import { promised } from './breakages.ts'
import type { Item } from './content.ts'
import type { Meaning } from './reference.ts'

/** The bytes with one bit turned over. */
function flipped(bytes: Uint8Array, random: SeededRandomness): Uint8Array {
  const copy = new Uint8Array(bytes)
  const index = random.int(copy.byteLength)
  copy[index] = copy[index]! ^ (1 << random.int(8))
  return copy
}

/**
 * A reader whose copy of the log lost an effective record, or holds it with a turned bit, must say
 * so before it takes any later commit for effective: every commit names the chain before it. (P2)
 */
export function judgeDamage(
  items: readonly Item[],
  { effective }: Meaning,
  random: SeededRandomness,
): void {
  // Where another copy of the record is in the log, that one takes its place.
  const copies = new Map<number, number>()
  for (const { serial } of items) copies.set(serial, (copies.get(serial) ?? 0) + 1)
  const candidates = items.flatMap(({ meant, serial }, index) =>
    effective[index] === 1 && meant.is !== 'void' && copies.get(serial) === 1 ? [index] : [],
  )
  if (candidates.length === 0) return
  const hit = random.pick(candidates)
  const lose = random.chance(0.5)
  let state = initialArbitration
  for (let index = 0; index < items.length; index += 1) {
    if (index === hit && lose) continue
    const { bytes, meant } = items[index]!
    const seen = index === hit ? flipped(bytes, random) : bytes
    const result = arbitrateBytes(state, seen)
    if (result.verdict === 'damaged') return
    state = result.state
    // Without the claim that fenced it a void commit may pass; no effective one does.
    const later = index > hit && meant.is === 'commit' && effective[index] === 1
    const taken = later && result.verdict === 'effective'
    promised(!taken, 'P2', () => `record ${hit} is ${lose ? 'lost' : 'changed'}, nobody noticed`)
  }
}
