import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/**
 * What the disk itself takes to make 4 KiB durable, ms each: the floor under everything that is
 * committed.
 */
export function fsyncMs(directory: string, count: number): readonly number[] {
  const path = join(directory, 'fsync.probe')
  const file = openSync(path, 'w')
  const bytes = Buffer.alloc(4_096, 1)
  const samples: number[] = []
  for (let i = 0; i < count; i++) {
    const before = performance.now()
    writeSync(file, bytes)
    fdatasyncSync(file)
    samples.push(performance.now() - before)
  }
  closeSync(file)
  rmSync(path)
  return samples
}
