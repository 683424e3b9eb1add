import { type Disk, DiskError } from '@serverless-ai/kernel'
import { memoryDisk, type SeededRandomness } from '@serverless-ai/kernel/testing'
import type { Life } from './life.ts'
import type { DiskFaults, SimTime } from './types.ts'

/** Pieces of snapshots, which may be damaged: their readers check them. */
const CHUNK = /\/chunk-\d+$/

const ignore = (): void => undefined

/** An operation on its way to the disk. */
interface Operation<T> {
  readonly path: string
  readonly run: () => Promise<T>
  /** For what needs space: what happens when there is none. */
  readonly full?: () => void
}

/** The disk of a machine: contents, what of them would survive a power loss, faults. */
export class MachineDisk {
  readonly contents = memoryDisk()
  faults: DiskFaults | undefined
  readonly #time: SimTime
  readonly #random: SeededRandomness
  /** Files with bytes that are not durable: how many are; -1 = not even that there is a file. */
  readonly #unsynced = new Map<string, number>()
  #lastChunk: string | undefined

  constructor(time: SimTime, random: SeededRandomness) {
    this.#time = time
    this.#random = random
  }

  /** The disk as one process sees it. */
  portFor(life: Life): Disk {
    const { contents } = this
    const begin = <T>(operation: Operation<T>): Promise<T> => this.#begin(life, operation)
    const full = ignore
    return {
      read: (path) => begin({ path, run: () => contents.read(path) }),
      writeAtomic: (path, bytes) =>
        begin({ path, full, run: () => this.#writeAtomic(path, bytes) }),
      append: (path, bytes, options) => {
        const append = (what: Uint8Array): Promise<void> =>
          this.#append(path, what, options?.sync === true)
        return begin({
          path,
          full: () => void append(bytes.subarray(0, bytes.byteLength >>> 1)).catch(ignore),
          run: () => append(bytes),
        })
      },
      list: (path) => begin({ path, run: () => contents.list(path) }),
      exists: (path) => begin({ path, run: () => contents.exists(path) }),
      makeDirectory: (path) => begin({ path, full, run: () => contents.makeDirectory(path) }),
      remove: (path) => begin({ path, run: () => this.#remove(path) }),
    }
  }

  #writeAtomic(path: string, bytes: Uint8Array): Promise<void> {
    this.#unsynced.delete(path)
    if (CHUNK.test(path)) this.#lastChunk = path
    return this.contents.writeAtomic(path, bytes)
  }

  #append(path: string, bytes: Uint8Array, sync: boolean): Promise<void> {
    const before = this.contents.files.get(path)?.byteLength ?? -1
    const done = this.contents.append(path, bytes)
    if (sync) this.#unsynced.delete(path)
    else if (!this.#unsynced.has(path)) this.#unsynced.set(path, before)
    return done
  }

  #remove(path: string): Promise<void> {
    for (const each of this.#unsynced.keys()) {
      if (each === path || each.startsWith(`${path}/`)) this.#unsynced.delete(each)
    }
    return this.contents.remove(path)
  }

  /** One operation: faults, delay, effect, answer. */
  #begin<T>(life: Life, operation: Operation<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      life.operate(() => {
        const effect = this.#faulty(operation) ?? operation.run
        const finish = (): void => {
          life.answer(effect(), { resolve, reject })
        }
        const range = this.faults?.delayMs
        if (range === undefined) finish()
        else this.#later(life, range, { effect, finish })
      })
    })
  }

  #later(
    life: Life,
    [minMs, maxMs]: readonly [number, number],
    { effect, finish }: { effect: () => Promise<unknown>; finish: () => void },
  ): void {
    const delayMs = minMs + this.#random.float() * (maxMs - minMs)
    // Killed in mid-operation: the kernel finishes it or had not begun.
    const cutOff = (): void => {
      timer.cancel()
      if (this.#random.chance(0.5)) effect().catch(ignore)
    }
    const timer = this.#time.after(delayMs, () => {
      life.underWay.delete(cutOff)
      finish()
    })
    life.underWay.add(cutOff)
  }

  /** What happens instead of the operation; undefined = the operation. */
  #faulty({ path, full }: Operation<unknown>): (() => Promise<never>) | undefined {
    const { faults } = this
    if (faults === undefined) return undefined
    if (this.#random.chance(faults.failShare ?? 0)) {
      return async () => {
        throw new DiskError('EIO', path, `EIO: i/o error, '${path}'`)
      }
    }
    if (faults.full !== true || full === undefined) return undefined
    const half = this.#random.chance(0.5)
    return async () => {
      if (half) full()
      throw new DiskError('ENOSPC', path, `ENOSPC: no space left on device, '${path}'`)
    }
  }

  /** What was not synced is gone, or half gone. */
  losePower(): void {
    const tornShare = this.faults?.tornShare ?? 0
    for (const [path, durable] of this.#unsynced) {
      const bytes = this.contents.files.get(path)?.byteLength
      if (bytes === undefined) continue
      const kept = Math.max(0, durable)
      if (this.#random.chance(tornShare)) {
        this.contents.truncate(path, kept + this.#random.int(bytes - kept + 1))
      } else if (durable < 0) void this.contents.remove(path)
      else this.contents.truncate(path, durable)
    }
    this.#unsynced.clear()
    if (this.#random.chance(tornShare)) this.#damageChunk()
    this.#lastChunk = undefined
  }

  #damageChunk(): void {
    const path = this.#lastChunk
    const bytes = path === undefined ? undefined : this.contents.files.get(path)?.byteLength
    if (path === undefined || bytes === undefined || bytes === 0) return
    if (this.#random.chance(0.5)) this.contents.truncate(path, this.#random.int(bytes))
    else this.contents.damage(path, this.#random.int(bytes))
  }
}
