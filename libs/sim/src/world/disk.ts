import { type Disk, DiskError } from '@serverless-ai/kernel'
import { memoryDisk, type SeededRandomness } from '@serverless-ai/kernel/testing'
import type { Life } from './life.ts'
import type { DiskFaults, DiskTrouble, SimTime } from './types.ts'

/** Pieces of snapshots, which may be damaged: their readers check them. */
const CHUNK = /\/chunk-\d+$/

/** The directory of all snapshots of a log that a piece belongs to. */
const shelfOf = (chunk: string): string => chunk.replace(/\/[^/]+\/[^/]+$/, '')

const ignore = (): void => undefined

/** An operation on its way to the disk. */
interface Operation<T> {
  readonly path: string
  readonly run: () => Promise<T>
  /** For what needs space: what happens when there is none. */
  readonly full?: () => void
}

/** A process that uses a disk, and the faults that this disk has for it now. */
interface User {
  readonly life: Life
  readonly faults: () => DiskFaults | undefined
}

/** The disk of a machine: contents, what of them would survive a power loss, faults. */
export class MachineDisk {
  readonly contents = memoryDisk()
  faults: DiskFaults | undefined
  readonly #time: SimTime
  readonly #random: SeededRandomness
  /** Files with bytes that are not durable: how many are; -1 = not even that there is a file. */
  readonly #unsynced = new Map<string, number>()
  readonly #struck: (what: DiskTrouble) => void
  /** The snapshot chunk that each process wrote last. */
  readonly #lastChunks = new Map<string, string>()
  /** Chunks that were damaged, as long as they are there. */
  readonly #damaged = new Set<string>()

  constructor(
    time: SimTime,
    random: SeededRandomness,
    struck: (what: DiskTrouble) => void = ignore,
  ) {
    this.#time = time
    this.#random = random
    this.#struck = struck
  }

  /** The disk as one process sees it; `faults` = those that it has for this process alone. */
  portFor(life: Life, faults: () => DiskFaults | undefined = () => this.faults): Disk {
    const { contents } = this
    const user: User = { life, faults }
    const begin = <T>(operation: Operation<T>): Promise<T> => this.#begin(user, operation)
    const full = ignore
    return {
      read: (path) => begin({ path, run: () => contents.read(path) }),
      writeAtomic: (path, bytes) =>
        begin({ path, full, run: () => this.#writeAtomic(life.process, path, bytes) }),
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

  #writeAtomic(process: string, path: string, bytes: Uint8Array): Promise<void> {
    this.#unsynced.delete(path)
    if (CHUNK.test(path)) this.#lastChunks.set(process, path)
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
  #begin<T>({ life, faults }: User, operation: Operation<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      life.operate(() => {
        const now = faults()
        const effect = this.#faulty(now, operation) ?? operation.run
        const finish = (): void => {
          life.answer(effect(), { resolve, reject })
        }
        const range = now?.delayMs
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
    this.#struck('slow')
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
  #faulty(
    faults: DiskFaults | undefined,
    { path, full }: Operation<unknown>,
  ): (() => Promise<never>) | undefined {
    if (faults === undefined) return undefined
    if (this.#random.chance(faults.failShare ?? 0)) {
      this.#struck('failed')
      return async () => {
        throw new DiskError('EIO', path, `EIO: i/o error, '${path}'`)
      }
    }
    if (faults.full !== true || full === undefined) return undefined
    this.#struck('full')
    const half = this.#random.chance(0.5)
    return async () => {
      if (half) full()
      throw new DiskError('ENOSPC', path, `ENOSPC: no space left on device, '${path}'`)
    }
  }

  /**
   * What was not synced is gone, or half gone. `atLeast`: the least chance that something is torn,
   * whatever faults are on.
   */
  losePower(atLeast = 0): void {
    const tornShare = Math.max(this.faults?.tornShare ?? 0, atLeast)
    for (const [path, durable] of this.#unsynced) {
      const bytes = this.contents.files.get(path)?.byteLength
      if (bytes === undefined) continue
      const kept = Math.max(0, durable)
      if (this.#random.chance(tornShare)) {
        this.#struck('torn')
        this.contents.truncate(path, kept + this.#random.int(bytes - kept + 1))
      } else if (durable < 0) void this.contents.remove(path)
      else this.contents.truncate(path, durable)
    }
    this.#unsynced.clear()
    for (const process of [...this.#lastChunks.keys()]) this.writerLost(process, tornShare)
  }

  /** The machine of a process lost power: with this chance the chunk it wrote last is damaged. */
  writerLost(process: string, tornShare: number): void {
    const path = this.#lastChunks.get(process)
    if (path === undefined) return
    this.#lastChunks.delete(process)
    if (this.#random.chance(tornShare)) this.#damageChunk(path)
  }

  #damageChunk(path: string): void {
    const { files } = this.contents
    const bytes = files.get(path)?.byteLength
    if (bytes === undefined || bytes === 0) return
    for (const each of this.#damaged) if (!files.has(each)) this.#damaged.delete(each)
    // Two snapshots of each log are kept so that one may be lost: not both.
    const shelf = shelfOf(path)
    if ([...this.#damaged].some((each) => shelfOf(each) === shelf)) return
    this.#damaged.add(path)
    this.#struck('damaged')
    if (this.#random.chance(0.5)) this.contents.truncate(path, this.#random.int(bytes))
    else this.contents.damage(path, this.#random.int(bytes))
  }
}
