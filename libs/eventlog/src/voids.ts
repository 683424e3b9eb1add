import type { Void } from './record.ts'
import { sameBytes, sha256 } from './record.ts'

/** A void as plain JSON, for snapshots. */
export interface VoidJson {
  readonly position: number
  /** SHA-256 of the voided record, hex. */
  readonly recordHash: string
}

/**
 * Voids of an administrator in force. A void skips only the `evolve` of the domain events of its
 * record: arbitration, chain, answers, marks and public seqs of that record stay, so that
 * everything after it stays effective.
 */
export class VoidList {
  readonly #hashes = new Map<number, Uint8Array[]>()

  /** Takes a void that was read. Returns true when it is new. */
  add(value: Pick<Void, 'position' | 'recordHash'>): boolean {
    const position = Number(value.position)
    const known = this.#hashes.get(position) ?? []
    if (known.some((hash) => sameBytes(hash, value.recordHash))) return false
    this.#hashes.set(position, [...known, new Uint8Array(value.recordHash)])
    return true
  }

  /** True when the domain events of the record at `position` are not to be evolved. */
  skips(position: number, recordBytes: Uint8Array): boolean {
    const hashes = this.#hashes.get(position)
    if (hashes === undefined) return false
    const own = sha256(recordBytes)
    return hashes.some((hash) => sameBytes(hash, own))
  }

  /** True when there is none. */
  get empty(): boolean {
    return this.#hashes.size === 0
  }

  /** In order of position. */
  toJson(): VoidJson[] {
    return [...this.#hashes]
      .sort(([a], [b]) => a - b)
      .flatMap(([position, hashes]) =>
        hashes.map((hash) => ({ position, recordHash: Buffer.from(hash).toString('hex') })),
      )
  }

  /** List of a JSON. */
  static fromJson(json: readonly VoidJson[]): VoidList {
    const list = new VoidList()
    for (const { position, recordHash } of json) {
      list.add({ position: BigInt(position), recordHash: Buffer.from(recordHash, 'hex') })
    }
    return list
  }
}
