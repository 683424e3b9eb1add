import { randomBytes } from 'node:crypto'
import { lstat, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Disk, type DiskEntry, DiskError } from '../ports.ts'

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'EIO'

/** Runs a file operation and turns its failure into a DiskError. */
async function guarded<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new DiskError(codeOf(error), path, message)
  }
}

/**
 * Makes entries of a directory durable; platforms that cannot open directories do it by themselves.
 */
async function syncDirectory(path: string): Promise<void> {
  let handle: Awaited<ReturnType<typeof open>>
  try {
    handle = await open(path, 'r')
  } catch (error) {
    if (codeOf(error) === 'EISDIR' || codeOf(error) === 'EPERM') return
    throw error
  }
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'wx')
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function writeAtomic(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    await writeWhole(temporary, bytes)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
  await syncDirectory(dirname(path))
}

async function append(path: string, bytes: Uint8Array, sync: boolean): Promise<void> {
  const handle = await open(path, 'a')
  try {
    const { bytesWritten } = await handle.write(bytes)
    if (bytesWritten !== bytes.byteLength) {
      throw Object.assign(new Error(`wrote ${bytesWritten} of ${bytes.byteLength} bytes`), {
        code: 'ENOSPC',
      })
    }
    if (sync) await handle.sync()
  } finally {
    await handle.close()
  }
}

async function list(path: string): Promise<DiskEntry[]> {
  const entries: DiskEntry[] = []
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const kind = entry.isFile() ? 'file' : entry.isDirectory() ? 'directory' : 'other'
    try {
      const bytes = kind === 'file' ? (await lstat(join(path, entry.name))).size : 0
      entries.push({ name: entry.name, kind, bytes })
    } catch (error) {
      // Removed between the two calls: not an entry any more.
      if (codeOf(error) !== 'ENOENT') throw error
    }
  }
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return false
    throw error
  }
}

/** Files of the operating system. */
export const systemDisk: Disk = {
  read: (path) => guarded(path, async () => new Uint8Array(await readFile(path))),
  writeAtomic: (path, bytes) => guarded(path, () => writeAtomic(path, bytes)),
  append: (path, bytes, options) =>
    guarded(path, () => append(path, bytes, options?.sync === true)),
  list: (path) => guarded(path, () => list(path)),
  exists: (path) => guarded(path, () => exists(path)),
  makeDirectory: (path) =>
    guarded(path, async () => {
      await mkdir(path, { recursive: true })
    }),
  remove: (path) => guarded(path, () => rm(path, { recursive: true, force: true })),
}
