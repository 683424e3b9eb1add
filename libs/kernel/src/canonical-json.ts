import type { Json } from './decider.ts'

/** A value that JSON cannot carry the same everywhere. */
export class CanonicalJsonError extends Error {
  override readonly name = 'CanonicalJsonError'
}

const refuse = (what: string, path: string): never => {
  throw new CanonicalJsonError(`${what} at ${path}`)
}

function writeNumber(value: number, path: string): string {
  if (!Number.isFinite(value)) refuse(String(value), path)
  // JSON.stringify writes -0 as 0.
  return JSON.stringify(value)
}

function writeObject(value: object, path: string): string {
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) refuse('not a plain object', path)
  const members = Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${write(member, `${path}.${key}`)}`)
  return `{${members.join(',')}}`
}

function writeArray(value: readonly unknown[], path: string): string {
  const items: string[] = []
  // Not `map`: it would skip the holes of a sparse array.
  for (let i = 0; i < value.length; i += 1) items.push(write(value[i], `${path}[${i}]`))
  return `[${items.join(',')}]`
}

function write(value: unknown, path: string): string {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return JSON.stringify(value)
    case 'number':
      return writeNumber(value, path)
    case 'object':
      if (value === null) return 'null'
      return Array.isArray(value) ? writeArray(value, path) : writeObject(value, path)
    default:
      return refuse(typeof value, path)
  }
}

/**
 * JSON with sorted keys (by UTF-16 code units, as RFC 8785) and no blanks: equal values give equal
 * text on every machine. Throws {@link CanonicalJsonError} for NaN, infinities, undefined (also as
 * a member), functions, bigint and objects that are not plain.
 */
export function canonicalJson(value: Json): string {
  return write(value, '$')
}
