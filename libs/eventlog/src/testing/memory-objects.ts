import { ObjectFailure, type Objects } from '../s3/objects.ts'

/** Objects in memory. Openers share them by sharing the map. */
export function memoryObjects(
  objects: Map<string, Uint8Array>,
  options: { readonly pageEntries?: number } = {},
): Objects {
  const { pageEntries = 1000 } = options
  return {
    where: 'bucket memory',
    async put(key, bytes) {
      objects.set(key, new Uint8Array(bytes))
    },
    async get(key) {
      const bytes = objects.get(key)
      return bytes === undefined ? undefined : new Uint8Array(bytes)
    },
    async list(prefix, more) {
      const keys = [...objects.keys()].filter((key) => key.startsWith(prefix)).sort()
      const left = more === undefined ? keys : keys.filter((key) => key > more)
      const page = left.slice(0, pageEntries)
      const last = page.at(-1)
      const entries = page.map((key) => ({ key, bytes: objects.get(key)?.byteLength ?? 0 }))
      const goesOn = left.length > page.length && last !== undefined
      return { objects: entries, ...(goesOn ? { more: last } : {}) }
    },
    async remove(key) {
      objects.delete(key)
    },
  }
}

/** The same objects, of a process that can be told to die: see `SnapshotBench.failAfter`. */
export function mortalObjects(inner: Objects): {
  readonly objects: Objects
  failAfter(writes: number | undefined): void
} {
  let left: number | undefined
  const die = (): never => {
    // No code that another attempt would be made for.
    throw new ObjectFailure({ code: 'AccessDenied', status: 403, message: 'the process is gone' })
  }
  const objects: Objects = {
    where: inner.where,
    async put(key, bytes, signal) {
      if (left !== undefined) {
        if (left <= 0) die()
        left -= 1
      }
      return inner.put(key, bytes, signal)
    },
    get: (key, signal) => inner.get(key, signal),
    list: (prefix, more, signal) => inner.list(prefix, more, signal),
    remove: async (key, signal) => (left === undefined ? inner.remove(key, signal) : die()),
  }
  return {
    objects,
    failAfter(writes) {
      left = writes
    },
  }
}
