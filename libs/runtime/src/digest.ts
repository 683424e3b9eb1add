import { createHash } from 'node:crypto'
import { canonicalJson, type Json } from '@serverless-ai/kernel'

/** Keys that an object keeps in an order of their own (indexes), or does not keep at all. */
function isUnsortable(key: string): boolean {
  const first = key.charCodeAt(0)
  return (first >= 0x30 && first <= 0x39) || key === '__proto__'
}

/** The engine's own writer is several times faster than ours, but sorts no members. */
class Unsortable extends Error {}

/** The same value with its members in the order of canonical JSON. */
function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(sorted)
  if (Object.getPrototypeOf(value) !== Object.prototype) throw new Unsortable()
  const copy: Record<string, unknown> = {}
  const members = value as Readonly<Record<string, unknown>>
  for (const key of Object.keys(members).sort()) {
    if (isUnsortable(key)) throw new Unsortable()
    copy[key] = sorted(members[key])
  }
  return copy
}

/** Canonical JSON of what JSON text keeps of a value. */
function textOf(value: unknown): string {
  try {
    return JSON.stringify(sorted(value))
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
