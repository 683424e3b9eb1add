// A writer that appends one numbered entry after the other and a reader beside it, and what they
// must agree on whatever becomes of the brokers.
import {
  AppendOutcomeUnknownError,
  AppendRefusedError,
  type EventLog,
  type LogAddress,
} from '@serverless-ai/eventlog'
import { KafkaLogError } from '@serverless-ai/eventlog/kafka'
import { until } from '../../support/until.ts'

const REFUSED_PAUSE_MS = 50
const READ_BYTES = 1 << 20

/** What was seen. */
export interface Testimony {
  /** Positions of the acknowledged entries, by number. */
  readonly acknowledged: readonly number[]
  /** Sends whose outcome stayed unknown; the same bytes were appended again. */
  readonly unknown: number
  /** Appends that were refused and tried again. */
  readonly refused: readonly string[]
  /** Numbers in the order in which the reader found them, copies included. */
  readonly read: readonly number[]
}

/** Writes and reads a partition until it is told to stop. */
export class Witness {
  readonly #log: EventLog
  readonly #at: LogAddress
  readonly #padding: Buffer
  readonly #acknowledged: number[] = []
  readonly #refused: string[] = []
  readonly #read: number[] = []
  readonly #stop = new AbortController()
  #unknown = 0
  #work: readonly Promise<void>[] = []

  /** `paddingBytes`: size of an entry beside its number. */
  constructor(log: EventLog, at: LogAddress, paddingBytes = 200) {
    this.#log = log
    this.#at = at
    this.#padding = Buffer.alloc(paddingBytes, 'x')
  }

  start(): void {
    this.#work = [this.#write(), this.#follow()]
  }

  /** How many appends are acknowledged by now. */
  get count(): number {
    return this.#acknowledged.length
  }

  get unknown(): number {
    return this.#unknown
  }

  get refused(): readonly string[] {
    return this.#refused
  }

  /** Waits for so many more acknowledged appends. */
  async progress(more: number, timeoutMs = 240_000): Promise<void> {
    const goal = this.count + more
    const what = `${goal} acknowledged appends`
    await until(what, () => (this.count >= goal ? true : undefined), { timeoutMs })
  }

  /** Stops after the entry on its way, and lets the reader come to the end. */
  async end(): Promise<Testimony> {
    this.#stop.abort()
    await Promise.all(this.#work)
    const [acknowledged, read] = [this.#acknowledged, this.#read]
    return { acknowledged, read, unknown: this.#unknown, refused: this.#refused }
  }

  #entry(number: number) {
    return { key: `${number}`, headers: {}, value: this.#padding }
  }

  async #write(): Promise<void> {
    for (let number = 0; !this.#stop.signal.aborted; number += 1) {
      this.#acknowledged.push(await this.#append(number))
    }
  }

  /** Appends the same bytes until it is acknowledged, which may leave copies. */
  async #append(number: number): Promise<number> {
    for (;;) {
      try {
        return (await this.#log.append(this.#at, [this.#entry(number)])).position
      } catch (error) {
        if (error instanceof AppendOutcomeUnknownError) this.#unknown += 1
        else if (error instanceof AppendRefusedError) this.#refused.push(error.message)
        else throw error
        await new Promise((resolve) => setTimeout(resolve, REFUSED_PAUSE_MS))
      }
    }
  }

  async #follow(): Promise<void> {
    for (;;) {
      const stopped = this.#stop.signal.aborted && this.#acknowledged.length > 0
      const last = this.#acknowledged.at(-1) ?? 0
      if (stopped && this.#read.length > last && (await this.#atEnd())) return
      try {
        const options = { from: this.#read.length, maxBytes: READ_BYTES, waitMs: 200 }
        const { records } = await this.#log.fetch(this.#at, options)
        // Positions are dense: the adapter raises on a gap, and here they are the index.
        for (const { position, key } of records) {
          if (position !== this.#read.length) throw new Error(`position ${position} out of turn`)
          this.#read.push(Number(key))
        }
      } catch (error) {
        // Brokers that are away are asked again; anything else is a broken promise.
        if (!(error instanceof KafkaLogError && error.code === 'UNREACHABLE')) throw error
      }
    }
  }

  async #atEnd(): Promise<boolean> {
    try {
      return (await this.#log.range(this.#at)).end === this.#read.length
    } catch (error) {
      if (error instanceof KafkaLogError) return false
      throw error
    }
  }
}

/** What the whole log holds now, read from the start by somebody else. */
export async function readAll(log: EventLog, at: LogAddress): Promise<number[]> {
  const { start, end } = await log.range(at)
  const numbers: number[] = []
  for (let from = start; from < end; from = start + numbers.length) {
    const { records } = await log.fetch(at, { from, maxBytes: READ_BYTES, waitMs: 1000 })
    numbers.push(...records.map(({ key }) => Number(key)))
  }
  return numbers
}

/**
 * Everything that is wrong with a testimony; empty = nothing. Acknowledged entries lie where it was
 * said, in order, none more often than sends of unknown outcome explain, and both readers saw the
 * same.
 */
export function lies(testimony: Testimony, log: readonly number[]): readonly string[] {
  const { acknowledged, read, unknown } = testimony
  const found: string[] = []
  acknowledged.forEach((position, number) => {
    if (log[position] !== number) {
      found.push(`${number} was acknowledged at ${position}, where ${log[position]} lies`)
    }
    const before = acknowledged[number - 1]
    if (before !== undefined && before >= position) found.push(`${number} before its predecessor`)
  })
  if (read.length !== log.length || read.some((number, position) => number !== log[position])) {
    found.push(`the follower read ${read.length} records, the log holds ${log.length} others`)
  }
  const copies = log.length - new Set(log).size
  // Each send of unknown outcome may have landed, once: brokers drop what kafkajs itself repeats.
  if (copies > unknown) found.push(`${copies} copies, but only ${unknown} unknown outcomes`)
  return found
}
