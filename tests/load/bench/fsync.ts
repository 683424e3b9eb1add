import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/**
 * What the disk itself takes to make 4 KiB more durable: the floor under everything that is
 * committed.
 */
export class SyncProbe implements Disposable {
  readonly #path: string
  readonly #file: number
  readonly #page = Buffer.alloc(4_096, 1)

  constructor(directory: string) {
    this.#path = join(directory, 'fsync.probe')
    this.#file = openSync(this.#path, 'w')
  }

  /** One write with fdatasync, ms. */
  syncMs(): number {
    const before = performance.now()
    writeSync(this.#file, this.#page)
    fdatasyncSync(this.#file)
    return performance.now() - before
  }

  [Symbol.dispose](): void {
    closeSync(this.#file)
    rmSync(this.#path)
  }
}

/** `count` syncs in a row, ms each. */
export function fsyncMs(directory: string, count: number): readonly number[] {
  using probe = new SyncProbe(directory)
  return Array.from({ length: count }, () => probe.syncMs())
}
