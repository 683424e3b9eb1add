import { type Disk, DiskError, type Randomness } from '@serverless-ai/kernel'
import { checkAddress } from './checks.ts'
import type { LogAddress, SnapshotInfo, SnapshotStore } from './port.ts'
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
} from './snapshot-format.ts'

/** How to open a directory of snapshots. */
export interface SnapshotDirectoryOptions {
  /** Absolute path; made when missing. */
  readonly directory: string
  readonly ports: { readonly disk: Disk; readonly randomness: Randomness }
  /** Bytes per chunk file. Default 4 MiB. */
  readonly chunkBytes?: number
}

const isMissing = (error: unknown): boolean =>
  error instanceof DiskError && (error.code === 'ENOENT' || error.code === 'ENOTDIR')

/**
 * Snapshots in a directory: `<directory>/<topic>/<partition>/<position>-<random>/chunk-000 …
 * manifest.json`. The manifest is written last and durably, so a snapshot is whole or not there; no
 * snapshot is ever written over. What an interrupted `put` left is removed by a later one.
 */
export class SnapshotDirectory implements SnapshotStore {
  readonly #disk: Disk
  readonly #randomness: Randomness
  readonly #directory: string
  readonly #chunkBytes: number
  readonly #underWay = new Set<string>()

  constructor(options: SnapshotDirectoryOptions) {
    this.#disk = options.ports.disk
    this.#randomness = options.ports.randomness
    this.#directory = options.directory
    this.#chunkBytes = options.chunkBytes ?? DEFAULT_CHUNK_BYTES
  }

  #home({ topic, partition }: LogAddress): string {
    return `${this.#directory}/${topic}/${partition}`
  }

  async put(
    address: LogAddress,
    snapshot: { position: number; schemaVersion: number; content: Uint8Array },
  ): Promise<SnapshotInfo> {
    checkAddress(address)
    const { position, schemaVersion, content } = snapshot
    const name = freshName(position, this.#randomness)
    const path = `${this.#home(address)}/${name}`
    this.#underWay.add(path)
    try {
      await this.#disk.makeDirectory(path)
      const chunks = await this.#writeChunks(path, content)
      const bytes = content.byteLength
      const info = { name, position, bytes, digest: digestOf(content), schemaVersion }
      const manifest = encodeManifest(manifestOf(info, chunks))
      await this.#disk.writeAtomic(`${path}/${MANIFEST}`, manifest)
      await this.#removeTorn(address, position)
      return info
    } catch (error) {
      // The first failure is what the caller must know; leftovers go with a later put.
      await this.#disk.remove(path).catch(() => undefined)
      throw error
    } finally {
      this.#underWay.delete(path)
    }
  }

  async #writeChunks(path: string, content: Uint8Array): Promise<Chunk[]> {
    const chunks: Chunk[] = []
    for (const piece of piecesOf(content, this.#chunkBytes)) {
      const name = chunkName(chunks.length)
      await this.#disk.writeAtomic(`${path}/${name}`, piece)
      chunks.push({ name, bytes: piece.byteLength, digest: digestOf(piece) })
    }
    return chunks
  }

  /** Directories without a whole snapshot, older than a whole one, that nobody here is writing. */
  async #removeTorn(address: LogAddress, below: number): Promise<void> {
    const home = this.#home(address)
    for (const { name, position } of await this.#names(address)) {
      const path = `${home}/${name}`
      if (position >= below || this.#underWay.has(path)) continue
      if ((await this.#manifest(address, name)) === undefined) await this.#disk.remove(path)
    }
  }

  async #names(address: LogAddress): Promise<{ name: string; position: number }[]> {
    try {
      const entries = await this.#disk.list(this.#home(address))
      return entries.flatMap(({ name, kind }) => {
        const position = positionOf(name)
        return kind === 'directory' && position !== undefined ? [{ name, position }] : []
      })
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
  }

  /** Manifest of a whole snapshot; undefined when it is torn. */
  async #manifest(address: LogAddress, name: string): Promise<Manifest | undefined> {
    const path = `${this.#home(address)}/${name}`
    try {
      const manifest = decodeManifest(name, await this.#disk.read(`${path}/${MANIFEST}`))
      if (manifest === undefined) return undefined
      const sizes = new Map((await this.#disk.list(path)).map((each) => [each.name, each.bytes]))
      return isWhole(manifest, sizes) ? manifest : undefined
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  async list(address: LogAddress): Promise<readonly SnapshotInfo[]> {
    checkAddress(address)
    const found: SnapshotInfo[] = []
    for (const { name } of await this.#names(address)) {
      const manifest = await this.#manifest(address, name)
      if (manifest !== undefined) found.push(infoOf(manifest))
    }
    return found.sort(newestFirst)
  }

  async get(address: LogAddress, name: string): Promise<Uint8Array | undefined> {
    checkAddress(address)
    if (positionOf(name) === undefined) return undefined
    const manifest = await this.#manifest(address, name)
    if (manifest === undefined) return undefined
    const assembly = new Assembly(manifest)
    for (const [index, chunk] of manifest.chunks.entries()) {
      const piece = await this.#chunk(`${this.#home(address)}/${name}/${chunk.name}`)
      if (piece === undefined || !assembly.place(index, piece)) return undefined
    }
    return assembly.content()
  }

  async #chunk(path: string): Promise<Uint8Array | undefined> {
    try {
      return await this.#disk.read(path)
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  async remove(address: LogAddress, name: string): Promise<void> {
    checkAddress(address)
    if (positionOf(name) === undefined) return
    const path = `${this.#home(address)}/${name}`
    // Manifest first: an interrupted removal leaves a torn snapshot, never a whole-looking one.
    await this.#disk.remove(`${path}/${MANIFEST}`)
    await this.#disk.remove(path)
  }
}

/** Opens a directory of snapshots. */
export function openSnapshotDirectory(options: SnapshotDirectoryOptions): SnapshotStore {
  return new SnapshotDirectory(options)
}
