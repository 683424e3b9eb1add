import type { z } from 'zod'

/** A schema of a whole configuration. */
export type ConfigSchema = z.ZodObject

/** How a textual value (flag, environment) becomes a value. */
export type LeafKind = 'string' | 'number' | 'boolean' | 'list' | 'json'

/** One settable key. */
export interface Leaf {
  /** Path in the object, for example `['lease', 'durationMs']`. */
  readonly path: readonly string[]
  /** `--lease.duration-ms` */
  readonly flag: string
  /** `SAI_LEASE__DURATION_MS` */
  readonly env: string
  readonly kind: LeafKind
  readonly secret: boolean
  readonly description: string
}

/** The prefix of every environment variable that configures a process. */
export const ENV_PREFIX = 'SAI_'

type Unwrapped = { readonly schema: z.core.$ZodType; readonly meta: Record<string, unknown> }

/** Looks through defaults, optionals and the like; metadata of the outer layers wins. */
function unwrap(schema: z.core.$ZodType, registry: typeof z.globalRegistry): Unwrapped {
  const meta: Record<string, unknown> = { ...registry.get(schema) }
  const def = schema._zod.def
  const inner: unknown =
    'innerType' in def ? def.innerType : def.type === 'pipe' && 'in' in def ? def.in : undefined
  if (!isSchema(inner)) return { schema, meta }
  const below = unwrap(inner, registry)
  return { schema: below.schema, meta: { ...below.meta, ...meta } }
}

function isSchema(value: unknown): value is z.core.$ZodType {
  return typeof value === 'object' && value !== null && '_zod' in value
}

function isObjectSchema(schema: z.core.$ZodType): schema is ConfigSchema {
  return schema._zod.def.type === 'object'
}

const kebab = (name: string) => name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)
const upper = (name: string) => name.replace(/[A-Z]/g, (c) => `_${c}`).toUpperCase()

function kindOf(type: string): LeafKind {
  switch (type) {
    case 'number':
    case 'int':
      return 'number'
    case 'boolean':
      return 'boolean'
    case 'array':
      return 'list'
    case 'string':
    case 'enum':
    case 'literal':
      return 'string'
    default:
      return 'json'
  }
}

/** All keys that can be set, in the order of the schema. */
export function leavesOf(
  schema: ConfigSchema,
  registry: typeof z.globalRegistry,
  above: readonly string[] = [],
): Leaf[] {
  return Object.entries(schema.shape).flatMap(([key, value]): Leaf[] => {
    const path = [...above, key]
    const { schema: inner, meta } = unwrap(value, registry)
    if (isObjectSchema(inner)) return leavesOf(inner, registry, path)
    return [
      {
        path,
        flag: `--${path.map(kebab).join('.')}`,
        env: ENV_PREFIX + path.map(upper).join('__'),
        kind: kindOf(inner._zod.def.type),
        secret: meta.secret === true,
        description: typeof meta.description === 'string' ? meta.description : '',
      },
    ]
  })
}

/** Parses the text of a flag or variable; undefined when it cannot be a value of that kind. */
export function parseText(kind: LeafKind, text: string): unknown {
  switch (kind) {
    case 'string':
      return text
    case 'number':
      return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text.trim()) ? Number(text) : undefined
    case 'boolean':
      if (/^(true|1|yes|on)$/i.test(text)) return true
      return /^(false|0|no|off)$/i.test(text) ? false : undefined
    case 'list':
      return text === '' ? [] : text.split(',').map((item) => item.trim())
    case 'json':
      try {
        return JSON.parse(text)
      } catch {
        return undefined
      }
  }
}

/** Edits (insert, delete, replace, swap of neighbours) between two short words. */
function distance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const same = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      let best = Math.min(same, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) best = Math.min(best, (before[j - 2] ?? 0) + 1)
      next.push(best)
    }
    before = row
    row = next
  }
  return row[b.length] ?? 0
}

/** The known word that was probably meant: the closest one within `most` edits. */
export function nearest(word: string, known: readonly string[], most = 2): string | undefined {
  const ranked = known.map((name) => ({ name, edits: distance(word, name) }))
  ranked.sort((a, b) => a.edits - b.edits)
  const best = ranked[0]
  return best !== undefined && best.edits <= most ? best.name : undefined
}
