import {
  AppendOutcomeUnknownError,
  type EventLog,
  eventsTopic,
  type LogEntry,
} from '@serverless-ai/eventlog'
import type { Dice } from '../../support/random.ts'
import { SERVICE } from './jobs-core.ts'

/** Of 100 requests of the publisher so many meet a fault. */
const FAULTY = 25
type Fault = 'twice' | 'unknown' | 'late' | 'gapped'
/** Faults in another order each time, so that each kind comes in any long history. */
const FAULTS: readonly Fault[] = ['twice', 'twice', 'unknown', 'late', 'late', 'gapped', 'gapped']

/** A public event as the publisher sent it. */
export interface Sent {
  readonly key: string
  readonly type: string
  readonly atMs: number
  readonly payload: Uint8Array
}

const seqOf = ({ headers }: LogEntry): number => Number(headers['ce_id']?.split('/')[2])

/**
 * Stands between a real publisher and the log. Some of its requests land twice, some once more much
 * later, of some the answer is lost, and of some a few events never land: others stand in their
 * place, so that positions are right.
 */
export class PublisherFaults {
  /** What was meant to be published, by seq. */
  readonly sent = new Map<number, Sent>()
  /** Seqs that were left out of some request. */
  readonly lost = new Set<number>()
  /** What a leader published differently from the one before. */
  readonly changed: number[] = []
  readonly counts = { twice: 0, unknown: 0, late: 0, gapped: 0 }
  on = true
  readonly #dice: Dice
  #late: { readonly entries: readonly LogEntry[]; in: number }[] = []
  #coming: Fault[] = []
  #last: LogEntry | undefined

  constructor(dice: Dice) {
    this.#dice = dice
  }

  /** The log of one leader. */
  wrap(log: EventLog): EventLog {
    const topic = eventsTopic(SERVICE)
    return {
      kind: log.kind,
      durability: log.durability,
      append: (address, entries) => {
        if (address.topic !== topic) return log.append(address, entries)
        return this.#append(entries, (landing) => log.append(address, landing))
      },
      fetch: (address, options) => log.fetch(address, options),
      range: (address) => log.range(address),
      trim: (address, below) => log.trim(address, below),
      close: () => log.close(),
    }
  }

  async #append(
    entries: readonly LogEntry[],
    land: (entries: readonly LogEntry[]) => Promise<{ position: number }>,
  ): Promise<{ position: number }> {
    this.#note(entries)
    await this.#landLate(land)
    const fault = this.#fault()
    if (fault === 'gapped' && this.#last !== undefined) {
      this.counts.gapped += 1
      return land(this.#withoutSome(entries, this.#last))
    }
    this.#last = entries.at(-1)
    const at = await land(entries)
    if (fault === 'twice') {
      this.counts.twice += 1
      return land(entries)
    }
    if (fault === 'late') {
      this.counts.late += 1
      this.#late.push({ entries, in: this.#dice.between(1, 12) })
    } else if (fault === 'unknown') {
      this.counts.unknown += 1
      throw new AppendOutcomeUnknownError('the acknowledgement was lost')
    }
    return at
  }

  #fault(): Fault | undefined {
    if (!this.on || this.#dice.between(0, 99) >= FAULTY) return undefined
    if (this.#coming.length === 0) this.#coming = this.#dice.shuffled(FAULTS)
    return this.#coming.pop()
  }

  #note(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      const { key, value, headers } = entry
      const seq = seqOf(entry)
      const known = this.sent.get(seq)
      const type = headers['ce_type'] ?? ''
      if (known === undefined) {
        const atMs = Date.parse(headers['ce_time'] ?? '')
        this.sent.set(seq, { key, type, atMs, payload: value })
      } else if (known.type !== type || !Buffer.from(known.payload).equals(value)) {
        this.changed.push(seq)
      }
    }
  }

  async #landLate(land: (entries: readonly LogEntry[]) => Promise<unknown>): Promise<void> {
    for (const late of this.#late) late.in -= 1
    const due = this.#late.filter((late) => late.in <= 0)
    this.#late = this.#late.filter((late) => late.in > 0)
    for (const { entries } of due) await land(entries)
  }

  #withoutSome(entries: readonly LogEntry[], last: LogEntry): readonly LogEntry[] {
    const from = this.#dice.between(0, entries.length - 1)
    const through = Math.min(entries.length - 1, from + this.#dice.between(0, 20))
    return entries.map((entry, i) => {
      if (i < from || i > through) return entry
      this.lost.add(seqOf(entry))
      return last
    })
  }
}
