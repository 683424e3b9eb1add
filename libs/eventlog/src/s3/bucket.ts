import type { Clock, Randomness, Timers } from '@serverless-ai/kernel'
import { checkAddress } from '../checks.ts'
import type { LogAddress, SnapshotInfo, SnapshotStore } from '../port.ts'
import {
  Assembly,
  type Chunk,
  chunkName,
  DEFAULT_CHUNK_BYTES,
  decodeManifest,
  digestOf,
  encodeManifest,
  freshName,
  infoOf,
  isWhole,
  MANIFEST,
  type Manifest,
  manifestOf,
  newestFirst,
  piecesOf,
  positionOf,
} from '../snapshot-format.ts'
import { attempt, type Patience } from './attempts.ts'
import type { Objects } from './objects.ts'

/** Requests of one call that are under way at once. */
const PARALLEL_MAX = 4

/** How to keep snapshots in an object store. */
export interface BucketOptions {
  readonly objects: Objects
  /** Stands before every key; empty, or ends with `/`. */
  readonly prefix: string
  readonly ports: {
    readonly clock: Clock
    readonly timers: Timers
    readonly randomness: Randomness
  }
  /** Bytes per object. Default 4 MiB. */
  readonly chunkBytes?: number
  /** For one attempt of one object, ms. Default 10,000. */
  readonly requestTimeoutMs?: number
  /** For all attempts of one object, ms. Default 30,000. */
  readonly totalTimeoutMs?: number
}

/** Sizes by file name, bytes. */
type Files = ReadonlyMap<string, number>

/** Runs `work` over all items, a few at a time; the first failure stops what has not begun. */
async function eachOf<T>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0
  let failed = false
  const worker = async (): Promise<void> => {
    while (!failed && next < items.length) {
      const index = next
      next += 1
      try {
        await work(items[index] as T, index)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const workers = Array.from({ length: Math.min(PARALLEL_MAX, items.length) }, worker)
  const outcomes = await Promise.allSettled(workers)
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
}

/**
 * Snapshots in a bucket: `<prefix><topic>/<partition>/<position>-<random>/chunk-000 …
 * manifest.json`. The manifest is written last, so a snapshot is whole or not there; no object is
 * ever written over with other content. What an interrupted `put` left is removed by a later one.
 * Rejects with {@link SnapshotBucketError}.
 */
export class SnapshotBucket implements SnapshotStore {
  readonly #objects: Objects
  readonly #prefix: string
  readonly #randomness: Randomness
  readonly #chunkBytes: number
  readonly #patience: Patience
  readonly #underWay = new Set<string>()

  constructor(options: BucketOptions) {
    this.#objects = options.objects
    this.#prefix = options.prefix
    this.#randomness = options.ports.randomness
    this.#chunkBytes = options.chunkBytes ?? DEFAULT_CHUNK_BYTES
    this.#patience = {
      ports: options.ports,
      requestTimeoutMs: options.requestTimeoutMs ?? 10_000,
      totalTimeoutMs: options.totalTimeoutMs ?? 30_000,
    }
  }

  async put(
    address: LogAddress,
    snapshot: { position: number; schemaVersion: number; content: Uint8Array },
  ): Promise<SnapshotInfo> {
    checkAddress(address)
    const { position, schemaVersion, content } = snapshot
    const name = freshName(position, this.#randomness)
    const path = `${this.#home(address)}${name}/`
    this.#underWay.add(path)
    try {
      const chunks = await this.#putChunks(path, content)
      const bytes = content.byteLength
      const info = { name, position, bytes, digest: digestOf(content), schemaVersion }
      await this.#put(`${path}${MANIFEST}`, encodeManifest(manifestOf(info, chunks)))
      // It is stored: what others left behind is no reason to fail.
      await this.#removeTorn(address, position).catch(() => undefined)
      return info
    } finally {
      this.#underWay.delete(path)
    }
  }

  async #putChunks(path: string, content: Uint8Array): Promise<readonly Chunk[]> {
    const pieces = piecesOf(content, this.#chunkBytes)
    await eachOf(pieces, (piece, index) => this.#put(`${path}${chunkName(index)}`, piece))
    return pieces.map((piece, index) => {
      return { name: chunkName(index), bytes: piece.byteLength, digest: digestOf(piece) }
    })
  }

  async list(address: LogAddress): Promise<readonly SnapshotInfo[]> {
    checkAddress(address)
    const found: SnapshotInfo[] = []
    await eachOf([...(await this.#inventory(address))], async ([name, files]) => {
      const manifest = await this.#manifest(address, name, files)
      if (manifest !== undefined) found.push(infoOf(manifest))
    })
    return found.sort(newestFirst)
  }

  async get(address: LogAddress, name: string): Promise<Uint8Array | undefined> {
    checkAddress(address)
    if (positionOf(name) === undefined) return undefined
    const path = `${this.#home(address)}${name}/`
    const text = await this.#get(`${path}${MANIFEST}`)
    const manifest = text === undefined ? undefined : decodeManifest(name, text)
    if (manifest === undefined) return undefined
    const assembly = new Assembly(manifest)
    let whole = true
    await eachOf(manifest.chunks, async (chunk, index) => {
      if (!whole) return
      const piece = await this.#get(`${path}${chunk.name}`)
      whole &&= piece !== undefined && assembly.place(index, piece)
    })
    return whole ? assembly.content() : undefined
  }

  async remove(address: LogAddress, name: string): Promise<void> {
    checkAddress(address)
    if (positionOf(name) === undefined) return
    await this.#removeFiles(`${this.#home(address)}${name}/`)
  }

  #home({ topic, partition }: LogAddress): string {
    return `${this.#prefix}${topic}/${partition}/`
  }

  /** Files of everything below the address that is named like a snapshot. */
  async #inventory(address: LogAddress): Promise<ReadonlyMap<string, Files>> {
    const home = this.#home(address)
    const found = new Map<string, Map<string, number>>()
    for (const [key, bytes] of await this.#list(home)) {
      const [name = '', file = ''] = key.slice(home.length).split('/')
      if (positionOf(name) === undefined) continue
      const files = found.get(name) ?? new Map<string, number>()
      found.set(name, files.set(file, bytes))
    }
    return found
  }

  /** Manifest of a whole snapshot; undefined when it is torn. */
  async #manifest(address: LogAddress, name: string, files: Files): Promise<Manifest | undefined> {
    if (!files.has(MANIFEST)) return undefined
    const text = await this.#get(`${this.#home(address)}${name}/${MANIFEST}`)
    const manifest = text === undefined ? undefined : decodeManifest(name, text)
    return manifest !== undefined && isWhole(manifest, files) ? manifest : undefined
  }

  /** What no manifest makes whole, older than a whole one, that nobody here is writing. */
  async #removeTorn(address: LogAddress, below: number): Promise<void> {
    for (const [name, files] of await this.#inventory(address)) {
      const path = `${this.#home(address)}${name}/`
      if ((positionOf(name) ?? below) >= below || this.#underWay.has(path)) continue
      if ((await this.#manifest(address, name, files)) === undefined) await this.#removeFiles(path)
    }
  }

  async #removeFiles(path: string): Promise<void> {
    // Manifest first: an interrupted removal leaves a torn snapshot, never a whole-looking one.
    await this.#remove(`${path}${MANIFEST}`)
    const keys = [...(await this.#list(path)).keys()]
    await eachOf(keys, (key) => this.#remove(key))
  }

  /** All objects with the prefix: sizes by key. */
  async #list(prefix: string): Promise<Files> {
    const found = new Map<string, number>()
    let more: string | undefined
    do {
      const from = more
      const page = await this.#attempt(`listing ${prefix}`, (signal) =>
        this.#objects.list(prefix, from, signal),
      )
      for (const { key, bytes } of page.objects) found.set(key, bytes)
      more = page.more
    } while (more !== undefined)
    return found
  }

  #put(key: string, bytes: Uint8Array): Promise<void> {
    return this.#attempt(`storing ${key}`, (signal) => this.#objects.put(key, bytes, signal))
  }

  #get(key: string): Promise<Uint8Array | undefined> {
    return this.#attempt(`reading ${key}`, (signal) => this.#objects.get(key, signal))
  }

  #remove(key: string): Promise<void> {
    return this.#attempt(`removing ${key}`, (signal) => this.#objects.remove(key, signal))
  }

  #attempt<T>(what: string, request: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return attempt(this.#patience, `${this.#objects.where}: ${what}`, request)
  }
}
