import {
  canonicalJson,
  type Disk,
  DiskError,
  type Json,
  type Randomness,
} from '@serverless-ai/kernel'
import { checkAddress } from './checks.ts'
import type { LogAddress, SnapshotInfo, SnapshotStore } from './port.ts'
import { sha256 } from './record.ts'

/** How to open a directory of snapshots. */
export interface SnapshotDirectoryOptions {
  /** Absolute path; made when missing. */
  readonly directory: string
  readonly ports: { readonly disk: Disk; readonly randomness: Randomness }
  /** Bytes per chunk file. Default 4 MiB. */
  readonly chunkBytes?: number
}

const DEFAULT_CHUNK_BYTES = 4 * 1024 * 1024
const FORMAT = 1
const MANIFEST = 'manifest.json'
const NAME = /^(\d{1,16})-([0-9a-f]{16})$/

interface Chunk {
  readonly name: string
  readonly bytes: number
  /** SHA-256, hex. */
  readonly digest: string
}

interface Manifest extends SnapshotInfo {
  readonly format: number
  readonly chunks: readonly Chunk[]
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const digestOf = (bytes: Uint8Array): string => hex(sha256(bytes))

const chunkName = (index: number): string => `chunk-${String(index).padStart(3, '0')}`

/** The manifest's text carries a digest of itself: a flipped bit in it is seen too. */
function encodeManifest(manifest: Manifest): Uint8Array {
  const { name, position, bytes, digest, schemaVersion, format } = manifest
  const chunks = manifest.chunks.map((chunk) => ({ ...chunk }))
  const body: Json = { name, position, bytes, digest, schemaVersion, format, chunks }
  const check = digestOf(Buffer.from(canonicalJson(body)))
  return Buffer.from(canonicalJson({ body, check }))
}

function decodeManifest(name: string, content: Uint8Array): Manifest | undefined {
  try {
    const { body, check } = JSON.parse(Buffer.from(content).toString('utf8'))
    if (digestOf(Buffer.from(canonicalJson(body))) !== check) return undefined
    if (body.format !== FORMAT || body.name !== name) return undefined
    return body
  } catch {
    return undefined
  }
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
    const name = `${position}-${hex(this.#randomness.bytes(8))}`
    const path = `${this.#home(address)}/${name}`
    this.#underWay.add(path)
    try {
      await this.#disk.makeDirectory(path)
      const chunks = await this.#writeChunks(path, content)
      const bytes = content.byteLength
      const info = { name, position, bytes, digest: digestOf(content), schemaVersion }
      const manifest = encodeManifest({ ...info, format: FORMAT, chunks })
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
    for (let from = 0; from < content.byteLength; from += this.#chunkBytes) {
      const piece = content.subarray(from, from + this.#chunkBytes)
      const name = chunkName(chunks.length)
      await this.#disk.writeAtomic(`${path}/${name}`, piece)
      chunks.push({ name, bytes: piece.byteLength, digest: digestOf(piece) })
    }
    return chunks
  }

  /** Directories without a whole snapshot, older than a whole one, that nobody here is writing. */
  async #removeTorn(address: LogAddress, below: number): Promise<void> {
    const home = this.#home(address)
    for (const { name } of await this.#names(address)) {
      const path = `${home}/${name}`
      const position = Number(NAME.exec(name)?.[1])
      if (position >= below || this.#underWay.has(path)) continue
      if ((await this.#manifest(address, name)) === undefined) await this.#disk.remove(path)
    }
  }

  async #names(address: LogAddress): Promise<{ name: string; position: number }[]> {
    try {
      const entries = await this.#disk.list(this.#home(address))
      return entries.flatMap(({ name, kind }) => {
        const match = NAME.exec(name)
        return kind === 'directory' && match ? [{ name, position: Number(match[1]) }] : []
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
      return manifest.chunks.every((chunk) => sizes.get(chunk.name) === chunk.bytes)
        ? manifest
        : undefined
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
      if (manifest === undefined) continue
      const { position, bytes, digest, schemaVersion } = manifest
      found.push({ name, position, bytes, digest, schemaVersion })
    }
    return found.sort((a, b) => b.position - a.position || (a.name < b.name ? -1 : 1))
  }

  async get(address: LogAddress, name: string): Promise<Uint8Array | undefined> {
    checkAddress(address)
    if (!NAME.test(name)) return undefined
    const manifest = await this.#manifest(address, name)
    if (manifest === undefined) return undefined
    const content = new Uint8Array(manifest.bytes)
    let at = 0
    for (const chunk of manifest.chunks) {
      const piece = await this.#chunk(`${this.#home(address)}/${name}/${chunk.name}`)
      if (piece === undefined || piece.byteLength !== chunk.bytes) return undefined
      if (at + piece.byteLength > content.byteLength) return undefined
      content.set(piece, at)
      at += piece.byteLength
    }
    return at === manifest.bytes && digestOf(content) === manifest.digest ? content : undefined
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
    if (!NAME.test(name)) return
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
