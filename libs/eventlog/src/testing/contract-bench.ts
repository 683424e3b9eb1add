import {
  AppendOutcomeUnknownError,
  type EventLog,
  type LogAddress,
  type LogEntry,
  type LogRecord,
} from '../port.ts'

/** How the suite gets at an adapter. */
export interface LogHarness {
  /** Opens an empty log. */
  open(): Promise<EventLog>
  /** Opens the log of the last `open` again after it was closed. */
  reopen(): Promise<EventLog>
  /** Lets time pass until the promise settles (virtual time); absent in real time. */
  run?<T>(promise: Promise<T>): Promise<T>
  /** False when appends may land twice, late or with an unknown outcome. */
  readonly exact: boolean
  /** What happens to a log from outside. Each answers the log to go on with. */
  readonly outside: {
    /** Retention removes everything below `below` from the partition {@link address}. */
    expire(log: EventLog, below: number): Promise<EventLog>
    /** An older copy is restored: the partition {@link address} ends at `end` again. */
    restore(log: EventLog, end: number): Promise<EventLog>
  }
  /** Cleans up after each test. */
  dispose?(): Promise<void>
}

/** The partition that most tests use. */
export const address: LogAddress = { topic: 'serverlessai.log.contract.v1', partition: 0 }
/** An entry with a text. */
export const entry = (text: string, key = ''): LogEntry => ({
  key,
  headers: {},
  value: Buffer.from(text),
})
/** Text of an entry. */
export const textOf = ({ value }: LogEntry): string => Buffer.from(value).toString()

/** What every test works with. */
export class Bench {
  readonly harness: LogHarness
  log!: EventLog
  constructor(harness: LogHarness) {
    this.harness = harness
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return this.harness.run === undefined ? promise : this.harness.run(promise)
  }

  async #appendSurely(to: LogAddress, entries: readonly LogEntry[]): Promise<{ position: number }> {
    for (;;) {
      try {
        return await this.log.append(to, entries)
      } catch (error) {
        if (this.harness.exact || !(error instanceof AppendOutcomeUnknownError)) throw error
      }
    }
  }

  /** Appends until it is acknowledged. */
  append(entries: readonly LogEntry[], to: LogAddress = address): Promise<{ position: number }> {
    return this.run(this.#appendSurely(to, entries))
  }

  /** Several at once. */
  appendAll(groups: readonly (readonly LogEntry[])[]): Promise<{ position: number }[]> {
    return this.run(Promise.all(groups.map((group) => this.#appendSurely(address, group))))
  }

  /** The whole log, fetched in pieces of at most `maxBytes`. */
  async readAll(maxBytes = 1 << 20, from?: number, of: LogAddress = address): Promise<LogRecord[]> {
    const records: LogRecord[] = []
    const { start } = await this.run(this.log.range(of))
    for (let at = from ?? start; ; ) {
      const piece = await this.run(this.log.fetch(of, { from: at, maxBytes, waitMs: 0 }))
      if (piece.records.length === 0) return records
      records.push(...piece.records)
      at = records.at(-1)!.position + 1
    }
  }

  /** End of the log when nothing is on its way any more over a faulty network. */
  async settledEnd(): Promise<number> {
    for (;;) {
      const { end } = await this.run(this.log.range(address))
      if (this.harness.exact) return end
      const { records } = await this.run(this.fetch(end, 200))
      if (records.length === 0) return end
    }
  }

  fetch(from: number, waitMs: number, signal?: AbortSignal) {
    const options = { from, maxBytes: 1 << 20, waitMs }
    return this.log.fetch(address, signal === undefined ? options : { ...options, signal })
  }
}
