import { createHash } from 'node:crypto'
import { canonicalJson, type Json } from '@serverless-ai/kernel'

/** Keys that an object keeps in an order of their own (indexes), or does not keep at all. */
function isUnsortable(key: string): boolean {
  const first = key.charCodeAt(0)
  return (first >= 0x30 && first <= 0x39) || key === '__proto__'
}

/** The engine's own writer is several times faster than ours, but sorts no members. */
class Unsortable extends Error {}

/** Keys as they stand in objects, and sorted. */
interface Shape {
  readonly keys: readonly string[]
  readonly sorted: readonly string[]
}

/** Copies values with their members in the order of canonical JSON. */
class Sorter {
  /** By first key: a state holds many objects of few shapes, and each is sorted once. */
  readonly #shapes = new Map<string, Shape[]>()

  copy(value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map((item) => this.copy(item))
    if (Object.getPrototypeOf(value) !== Object.prototype) throw new Unsortable()
    const copy: Record<string, unknown> = {}
    const members = value as Readonly<Record<string, unknown>>
    for (const key of this.#order(Object.keys(members))) copy[key] = this.copy(members[key])
    return copy
  }

  #order(keys: readonly string[]): readonly string[] {
    const [first] = keys
    if (first === undefined) return keys
    const alike = this.#shapes.get(first)
    const known = alike?.find((shape) => sameKeys(shape.keys, keys))
    if (known !== undefined) return known.sorted
    if (keys.some(isUnsortable)) throw new Unsortable()
    const sorted = [...keys].sort()
    if (alike === undefined) this.#shapes.set(first, [{ keys, sorted }])
    // More than a few that begin alike: maps by id, no two of them the same.
    else if (alike.length < 16) alike.push({ keys, sorted })
    return sorted
  }
}

function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false
  return true
}

/** Canonical JSON of what JSON text keeps of a value. */
function textOf(value: unknown): string {
  try {
    return JSON.stringify(new Sorter().copy(value))
  } catch (error) {
    if (!(error instanceof Unsortable)) throw error
    const plain: Json = JSON.parse(JSON.stringify(value))
    return canonicalJson(plain)
  }
}

/**
 * SHA-256 over the canonical JSON, hex. Members that are undefined are absent, as after a way
 * through JSON text: a state that was just folded and one that was loaded from a snapshot give the
 * same digest.
 */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(textOf(value)).digest('hex')
}
