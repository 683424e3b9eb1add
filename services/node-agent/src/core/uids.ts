/** Range of user ids given to tenants. */
export interface UidRange {
  readonly base: number
  readonly size: number
}

/** Tenant to uid, as persisted. */
export type UidMap = Readonly<Record<string, number>>

/** FNV-1a, 32 bits: spreads names over the range, the same on every node. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i += 1) {
    value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0
  }
  return value
}

/**
 * The uid of a tenant: the recorded one, else the first free one from a place that follows from
 * the name. Undefined when the range is used up. Two tenants never share a uid.
 */
export function uidFor(map: UidMap, tenant: string, range: UidRange): number | undefined {
  const recorded = Object.hasOwn(map, tenant) ? map[tenant] : undefined
  if (recorded !== undefined) return recorded
  const used = new Set(Object.values(map))
  const first = hash(tenant) % range.size
  for (let i = 0; i < range.size; i += 1) {
    const uid = range.base + ((first + i) % range.size)
    if (!used.has(uid)) return uid
  }
  return undefined
}
