import { type Disk, type DiskEntry, DiskError } from '../ports.ts'

/** An operation of the disk, as a fault hook sees it. */
export type DiskOperation =
  | 'read'
  | 'writeAtomic'
  | 'append'
  | 'list'
  | 'exists'
  | 'makeDirectory'
  | 'remove'

/**
 * Called before each operation. Throwing a {@link DiskError} makes the operation fail; returning
 * `torn` makes an append write only half and fail with ENOSPC.
 */
export type DiskFault = (operation: DiskOperation, path: string) => 'torn' | undefined

/** A disk in memory with fault hooks. Openers share it by sharing the object. */
export interface MemoryDisk extends Disk {
  /** Contents by path. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** Sets the hook; undefined takes it away. */
  setFault(fault: DiskFault | undefined): void
  /** Flips one bit of a file, as a bad disk would. */
  damage(path: string, byteIndex: number): void
  /** Cuts a file, as a power loss does to what was not synced. */
  truncate(path: string, bytes: number): void
}

const parentOf = (path: string): string => path.slice(0, Math.max(1, path.lastIndexOf('/')))

const missing = (path: string): DiskError =>
  new DiskError('ENOENT', path, `ENOENT: no such file or directory, '${path}'`)

class MemoryDiskImpl implements MemoryDisk {
  readonly files = new Map<string, Uint8Array>()
  readonly #directories = new Set<string>(['/'])
  #fault: DiskFault | undefined

  setFault(fault: DiskFault | undefined): void {
    this.#fault = fault
  }

  damage(path: string, byteIndex: number): void {
    const bytes = this.#file(path)
    bytes[byteIndex] = bytes[byteIndex]! ^ 1
  }

  truncate(path: string, bytes: number): void {
    this.files.set(path, this.#file(path).slice(0, bytes))
  }

  #file(path: string): Uint8Array {
    const bytes = this.files.get(path)
    if (bytes === undefined) throw missing(path)
    return bytes
  }

  #inDirectory(path: string): void {
    if (!this.#directories.has(parentOf(path))) throw missing(path)
  }

  async read(path: string): Promise<Uint8Array> {
    this.#fault?.('read', path)
    return new Uint8Array(this.#file(path))
  }

  async writeAtomic(path: string, bytes: Uint8Array): Promise<void> {
    this.#fault?.('writeAtomic', path)
    this.#inDirectory(path)
    this.files.set(path, new Uint8Array(bytes))
  }

  async append(path: string, bytes: Uint8Array): Promise<void> {
    const torn = this.#fault?.('append', path) === 'torn'
    this.#inDirectory(path)
    const before = this.files.get(path) ?? new Uint8Array(0)
    const written = torn ? bytes.subarray(0, bytes.byteLength >>> 1) : bytes
    const after = new Uint8Array(before.byteLength + written.byteLength)
    after.set(before)
    after.set(written, before.byteLength)
    this.files.set(path, after)
    if (torn) throw new DiskError('ENOSPC', path, 'ENOSPC: no space left on device')
  }

  async list(path: string): Promise<readonly DiskEntry[]> {
    this.#fault?.('list', path)
    if (!this.#directories.has(path)) throw missing(path)
    const inside = (each: string): boolean => each !== '/' && parentOf(each) === path
    const nameOf = (each: string): string => each.slice(each.lastIndexOf('/') + 1)
    const directories = [...this.#directories]
      .filter(inside)
      .map((each): DiskEntry => ({ name: nameOf(each), kind: 'directory', bytes: 0 }))
    const files = [...this.files]
      .filter(([each]) => inside(each))
      .map(([each, { byteLength }]): DiskEntry => {
        return { name: nameOf(each), kind: 'file', bytes: byteLength }
      })
    return [...directories, ...files].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async exists(path: string): Promise<boolean> {
    this.#fault?.('exists', path)
    return this.files.has(path) || this.#directories.has(path)
  }

  async makeDirectory(path: string): Promise<void> {
    this.#fault?.('makeDirectory', path)
    for (let each = path; each !== '/'; each = parentOf(each)) this.#directories.add(each)
  }

  async remove(path: string): Promise<void> {
    this.#fault?.('remove', path)
    const gone = (each: string): boolean => each === path || each.startsWith(`${path}/`)
    for (const each of [...this.files.keys()]) if (gone(each)) this.files.delete(each)
    for (const each of [...this.#directories]) if (gone(each)) this.#directories.delete(each)
  }
}

/** An empty disk in memory. */
export function memoryDisk(): MemoryDisk {
  return new MemoryDiskImpl()
}
