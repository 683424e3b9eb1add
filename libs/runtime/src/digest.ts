import { createHash } from 'node:crypto'
import { canonicalJson, type Json } from '@serverless-ai/kernel'

/**
 * SHA-256 over the canonical JSON, hex. The value is first taken through JSON text, as a snapshot
 * does: members that are undefined are absent, so a state that was just folded and one that was
 * loaded give the same digest.
 */
export function digestOf(value: unknown): string {
  const plain: Json = JSON.parse(JSON.stringify(value))
  return createHash('sha256').update(canonicalJson(plain)).digest('hex')
}
