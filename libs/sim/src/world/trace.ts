import { createHash } from 'node:crypto'
import type { SimTime, Trace, TraceEntry } from './types.ts'

/** Entries that are kept for people. */
const RING = 400
/** Bytes that are gathered before they go into the hash: an update costs as much as 1 KiB. */
const GATHER_BYTES = 64 * 1024
/** Longest single fact; longer ones are cut, their length counts. */
const FACT_MAX_CHARS = 4096

interface Kept {
  readonly atMs: number
  readonly event: number
  readonly who: string
  readonly text: () => string
}

const shown = ({ atMs, event, who, text }: Kept): TraceEntry => ({
  atMs,
  event,
  who,
  text: text(),
})

/** Hash over all that happened, ring of the last entries, tap for the readable trace. */
export class RollingTrace implements Trace {
  readonly #time: SimTime
  readonly #onEntry: ((entry: TraceEntry) => void) | undefined
  readonly #hash = createHash('sha256')
  readonly #gathered = Buffer.alloc(GATHER_BYTES)
  #used = 0
  readonly #ring: Kept[] = []
  #next = 0

  constructor(time: SimTime, onEntry: ((entry: TraceEntry) => void) | undefined) {
    this.#time = time
    this.#onEntry = onEntry
  }

  note(who: string, facts: string, text: () => string): void {
    const { nowMs: atMs, events: event } = this.#time
    this.#gather(who, facts, atMs)
    const kept: Kept = { atMs, event, who, text }
    this.#ring[this.#next] = kept
    this.#next = (this.#next + 1) % RING
    this.#onEntry?.(shown(kept))
  }

  #gather(who: string, facts: string, atMs: number): void {
    const cut = facts.length > FACT_MAX_CHARS ? facts.slice(0, FACT_MAX_CHARS) : facts
    // UTF-8 takes at most three bytes per UTF-16 unit.
    if (this.#used + 3 * (who.length + cut.length) + 32 > GATHER_BYTES) this.#flush()
    const buffer = this.#gathered
    let at = buffer.writeDoubleLE(atMs, this.#used)
    at = buffer.writeUInt32LE(this.#time.events >>> 0, at)
    at = buffer.writeUInt32LE(facts.length, at)
    at += buffer.write(who, at)
    // No text holds this byte: `ab` + `c` and `a` + `bc` differ.
    at = buffer.writeUInt8(0xff, at)
    at += buffer.write(cut, at)
    this.#used = at
  }

  hash(bytes: Uint8Array): void {
    if (this.#used + bytes.byteLength > GATHER_BYTES) this.#flush()
    if (bytes.byteLength > GATHER_BYTES) {
      this.#hash.update(bytes)
      return
    }
    this.#gathered.set(bytes, this.#used)
    this.#used += bytes.byteLength
  }

  #flush(): void {
    this.#hash.update(this.#gathered.subarray(0, this.#used))
    this.#used = 0
  }

  digest(): string {
    this.#flush()
    return this.#hash.copy().digest('hex')
  }

  last(): readonly TraceEntry[] {
    const { length } = this.#ring
    const from = length < RING ? 0 : this.#next
    return this.#ring.map((_, index) => shown(this.#ring[(from + index) % length]!))
  }
}
