/** What a stored snapshot looks like, in a directory or a bucket: chunks, and a manifest last. */
import { canonicalJson, type Json, type Randomness } from '@serverless-ai/kernel'
import type { SnapshotInfo } from './port.ts'
import { sha256 } from './record.ts'

/** Bytes per chunk where nothing else is asked for. */
export const DEFAULT_CHUNK_BYTES = 4 * 1024 * 1024
/** File that makes a snapshot whole. */
export const MANIFEST = 'manifest.json'
const FORMAT = 1
const NAME = /^(\d{1,16})-([0-9a-f]{16})$/

/** A piece of the content. */
export interface Chunk {
  readonly name: string
  readonly bytes: number
  /** SHA-256, hex. */
  readonly digest: string
}

/** What the manifest says. */
export interface Manifest extends SnapshotInfo {
  readonly format: number
  readonly chunks: readonly Chunk[]
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** SHA-256, hex. */
export const digestOf = (bytes: Uint8Array): string => hex(sha256(bytes))

/** A name that no other snapshot has. */
export const freshName = (position: number, randomness: Randomness): string =>
  `${position}-${hex(randomness.bytes(8))}`

/** Position in a snapshot's name; undefined when it is not the name of one. */
export function positionOf(name: string): number | undefined {
  const match = NAME.exec(name)
  return match === null ? undefined : Number(match[1])
}

/** Name of the chunk at `index`. */
export const chunkName = (index: number): string => `chunk-${String(index).padStart(3, '0')}`

/** The content's pieces, in order, without a copy. */
export function piecesOf(content: Uint8Array, chunkBytes: number): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let from = 0; from < content.byteLength; from += chunkBytes) {
    pieces.push(content.subarray(from, from + chunkBytes))
  }
  return pieces
}

/** The manifest of a content that is stored in these chunks. */
export function manifestOf(info: SnapshotInfo, chunks: readonly Chunk[]): Manifest {
  return { ...info, format: FORMAT, chunks }
}

/** The manifest's text carries a digest of itself: a flipped bit in it is seen too. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const { name, position, bytes, digest, schemaVersion, format } = manifest
  const chunks = manifest.chunks.map((chunk) => ({ ...chunk }))
  const body: Json = { name, position, bytes, digest, schemaVersion, format, chunks }
  const check = digestOf(Buffer.from(canonicalJson(body)))
  return Buffer.from(canonicalJson({ body, check }))
}

/** The manifest of the snapshot `name`; undefined when it is damaged. */
export function decodeManifest(name: string, content: Uint8Array): Manifest | undefined {
  try {
    const { body, check } = JSON.parse(Buffer.from(content).toString('utf8'))
    if (digestOf(Buffer.from(canonicalJson(body))) !== check) return undefined
    if (body.format !== FORMAT || body.name !== name) return undefined
    return body
  } catch {
    return undefined
  }
}

/** True when every chunk is there with its size. `sizes`: bytes by file name. */
export function isWhole(manifest: Manifest, sizes: ReadonlyMap<string, number>): boolean {
  return manifest.chunks.every((chunk) => sizes.get(chunk.name) === chunk.bytes)
}

/** What is told of a snapshot. */
export function infoOf(manifest: Manifest): SnapshotInfo {
  const { name, position, bytes, digest, schemaVersion } = manifest
  return { name, position, bytes, digest, schemaVersion }
}

/** Newest first. */
export const newestFirst = (a: SnapshotInfo, b: SnapshotInfo): number =>
  b.position - a.position || (a.name < b.name ? -1 : 1)

/** Puts a content together, its pieces in any order. */
export class Assembly {
  readonly #manifest: Manifest
  readonly #content: Uint8Array
  readonly #offsets: readonly number[]
  readonly #placed = new Set<number>()

  constructor(manifest: Manifest) {
    this.#manifest = manifest
    this.#content = new Uint8Array(manifest.bytes)
    let at = 0
    this.#offsets = manifest.chunks.map(({ bytes }) => {
      at += bytes
      return at - bytes
    })
  }

  /** Takes the chunk at `index`; false when that is not what the manifest says. */
  place(index: number, piece: Uint8Array): boolean {
    const chunk = this.#manifest.chunks[index]
    const offset = this.#offsets[index]
    if (chunk === undefined || offset === undefined || piece.byteLength !== chunk.bytes) {
      return false
    }
    if (offset + piece.byteLength > this.#content.byteLength) return false
    this.#content.set(piece, offset)
    this.#placed.add(index)
    return true
  }

  /** The content; undefined when a piece is missing or the checksum does not hold. */
  content(): Uint8Array | undefined {
    const { chunks, bytes, digest } = this.#manifest
    if (this.#placed.size !== chunks.length) return undefined
    if (chunks.reduce((sum, chunk) => sum + chunk.bytes, 0) !== bytes) return undefined
    return digestOf(this.#content) === digest ? this.#content : undefined
  }
}
