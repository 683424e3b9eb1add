import {
  type Commit,
  decodeRecord,
  type EventLog,
  type FetchResult,
  type LogAddress,
  type LogEntry,
  type LogRecord,
} from '@serverless-ai/eventlog'
import type { Timers } from '@serverless-ai/kernel'
import type { Trap } from './trap.ts'

const PRIVATE = 'serverlessai.log.'
const PUBLIC = 'serverlessai.events.'
const STALL_MS = 500

const idOf = (commit: Commit): string => Buffer.from(commit.commitId).toString('hex')

/** Timers of the state as the log tells them: when each is due. */
class DueTimes {
  readonly #dueMs = new Map<string, number>()

  learn(topic: string, commit: Commit): void {
    for (const { type, data } of commit.runtime) {
      if (type !== 'TimerSet') continue
      const { key, dueMs } = JSON.parse(data)
      this.#dueMs.set(`${topic} ${key}`, dueMs)
    }
  }

  /**
   * True when the commit clears a timer because it is due, and not because nobody wants it any
   * more.
   */
  fires(topic: string, commit: Commit): boolean {
    return commit.runtime.some(({ type, data }) => {
      if (type !== 'TimerCleared') return false
      const dueMs = this.#dueMs.get(`${topic} ${JSON.parse(data).key}`)
      return dueMs !== undefined && dueMs <= Number(commit.atMs)
    })
  }
}

/** A log that ends the process at moments that its records tell. */
export class CrashLog implements EventLog {
  readonly kind: string
  readonly durability: string
  readonly #inner: EventLog
  readonly #trap: Trap
  readonly #timers: Timers
  readonly #stalled: string
  /** Commits of this process that it has not read back. */
  readonly #sent = new Map<string, Commit>()
  readonly #due = new DueTimes()

  /** `stalled`: service whose public events reach no consumer; empty = none. */
  constructor(inner: EventLog, init: { trap: Trap; timers: Timers; stalled: string }) {
    this.kind = inner.kind
    this.durability = inner.durability
    this.#inner = inner
    this.#trap = init.trap
    this.#timers = init.timers
    this.#stalled = init.stalled === '' ? '' : `${PUBLIC}${init.stalled}.v1`
  }

  append(address: LogAddress, entries: readonly LogEntry[]): Promise<{ position: number }> {
    if (address.topic.startsWith(PRIVATE)) return this.#record(address, entries)
    if (address.topic.startsWith(PUBLIC)) return this.#publish(address, entries)
    return this.#inner.append(address, entries)
  }

  async #record(address: LogAddress, entries: readonly LogEntry[]): Promise<{ position: number }> {
    const [entry] = entries
    const body = entry === undefined ? undefined : decodeRecord(entry.value).body
    if (body?.$case === 'claim' && this.#trap.hit('claim-sent-unread')) {
      return this.#unread(address, entries)
    }
    if (body?.$case === 'commit') {
      const commit = body.value
      if (this.#dies(address, commit)) return this.#trap.die()
      if (commit.answers.length > 0 && this.#trap.hit('append-sent-unread')) {
        return this.#unread(address, entries)
      }
      this.#sent.set(idOf(commit), commit)
      this.#due.learn(address.topic, commit)
    }
    return this.#inner.append(address, entries)
  }

  /** Moments before a commit is sent. */
  #dies(address: LogAddress, commit: Commit): boolean {
    if (commit.inputs.length > 0 && this.#trap.hit('input-mark-uncommitted')) return true
    if (this.#due.fires(address.topic, commit) && this.#trap.hit('timer-due')) return true
    const later = commit.runtime.some(
      ({ type, data }) => type === 'BootstrapPage' && JSON.parse(data).page > 0,
    )
    return later && this.#trap.hit('mid-bootstrap-page')
  }

  /** The entries are in the log for good, and nothing is read any more. */
  async #unread(address: LogAddress, entries: readonly LogEntry[]): Promise<never> {
    this.#trap.held = true
    await this.#inner.append(address, entries)
    return this.#trap.die()
  }

  async #publish(address: LogAddress, entries: readonly LogEntry[]): Promise<{ position: number }> {
    if (entries.length > 1 && this.#trap.hit('mid-publish')) {
      await this.#inner.append(address, entries.slice(0, Math.floor(entries.length / 2)))
      return this.#trap.die()
    }
    const done = await this.#inner.append(address, entries)
    if (this.#trap.hit('published-unrecorded')) return this.#trap.die()
    return done
  }

  async fetch(
    address: LogAddress,
    options: { from: number; maxBytes: number; waitMs: number; signal?: AbortSignal },
  ): Promise<FetchResult> {
    if (address.topic === this.#stalled) {
      await this.#timers.sleep(STALL_MS, options.signal)
      return { records: [], start: 0, end: options.from }
    }
    const result = await this.#inner.fetch(address, options)
    if (this.#trap.held) return this.#trap.never()
    if (address.topic.startsWith(PRIVATE)) {
      for (const record of result.records) this.#read(address, record)
    }
    return result
  }

  #read(address: LogAddress, record: LogRecord): void {
    const { body } = decodeRecord(record.value)
    if (body?.$case !== 'commit') return
    const commit = body.value
    this.#due.learn(address.topic, commit)
    // Only what this process wrote itself: a start reads old answers and effects again.
    if (!this.#sent.delete(idOf(commit))) return
    if (commit.answers.length > 0 && this.#trap.hit('effective-unanswered')) void this.#trap.die()
    const effects = commit.runtime.some(({ type }) => type === 'EffectAdded')
    if (effects && commit.answers.length > 0 && this.#trap.hit('answered-effect-unsent')) {
      this.#trap.effectArmed = true
    }
  }

  range(address: LogAddress): Promise<{ start: number; end: number }> {
    return this.#inner.range(address)
  }

  trim(address: LogAddress, below: number): Promise<void> {
    return this.#inner.trim(address, below)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }
}
