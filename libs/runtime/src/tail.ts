/**
 * The one reader of the partition's log: everything that changes the effective state comes through
 * here, in log order.
 */
import {
  type LogAddress,
  LogClosedError,
  LogOutOfRangeError,
  type LogRecord,
} from '@serverless-ai/eventlog'
import { abortable, type Message } from '@serverless-ai/kernel'
import type { RuntimeContext } from './context.ts'
import { errorText } from './errors.ts'
import { FETCH_MAX_BYTES, HistoryLostError, loadPartition, seekVoid } from './loader.ts'
import { type Applied, FoldError, type OwnCommit, Partition } from './partition.ts'

/** What the reader needs from its runtime. */
export interface TailHost<S, C extends Message, E extends Message> {
  readonly address: LogAddress
  /** The own commit in flight. */
  own(): OwnCommit<E> | undefined
  /** A record was applied. Returns true when the state has to be dropped and folded again. */
  applied(record: LogRecord, applied: Applied<E>, state: Partition<S, C, E>): boolean
  /** A snapshot was loaded; its name is empty when the log is folded from its start. */
  loaded(snapshot: string, position: number): void
  /** The state is dropped: what was known about it is forgotten. `why` is for people. */
  dropped(why: string): void
  /** The log holds nothing more, or did not at `sinceMs` (monotonic). */
  caughtUp(state: Partition<S, C, E>, sinceMs: number): void
  /** How long a fetch may wait for more, ms. */
  fetchMs(): number
  /** The partition cannot go on. */
  stopped(error: Error): void
}

/** Reads, folds, loads again. */
export class Tail<S, C extends Message, E extends Message> {
  readonly #context: RuntimeContext<S, C, E>
  readonly #host: TailHost<S, C, E>
  readonly #closing = new AbortController()
  readonly #badSnapshots = new Set<string>()
  #state: Partition<S, C, E> | undefined
  #snapshot = ''
  #reading = new AbortController()
  #voids: Partition<S, C, E>['voids'] | undefined
  #damagedAt = -1
  /** Position of the next record, as of the last look. */
  #end = 0
  #done: Promise<void> | undefined
  /** Position up to which records are history of before this (re)start. */
  replayUntil = 0

  constructor(context: RuntimeContext<S, C, E>, host: TailHost<S, C, E>) {
    this.#context = context
    this.#host = host
  }

  /** The folded state; undefined while it is loaded or folded again. */
  get state(): Partition<S, C, E> | undefined {
    return this.#state
  }

  /** Records that the log is known to hold and that are not folded yet. */
  get lagRecords(): number {
    return Math.max(0, this.#end - 1 - (this.#state?.position ?? -1))
  }

  start(): void {
    this.#done = this.#run()
  }

  /** Drops the state; the reader folds it again at once. */
  drop(why: string): void {
    if (this.#state === undefined) return
    this.#voids = this.#state.voids
    this.#state = undefined
    this.#host.dropped(why)
    this.#reading.abort(new Error(why))
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('closed'))
    this.#reading.abort(new Error('closed'))
    await this.#done
  }

  async #run(): Promise<void> {
    let pauseMs = 100
    while (!this.#closing.signal.aborted) {
      try {
        await this.#round()
        pauseMs = 100
      } catch (error) {
        if (this.#closing.signal.aborted) return
        if (this.#reading.signal.aborted) continue
        if (await this.#isVoid(error)) continue
        if (this.#fatal(error)) return
        this.#context.logger.log('warn', 'reading the log failed', { error: errorText(error) })
        try {
          await this.#context.ports.timers.sleep(pauseMs, this.#closing.signal)
        } catch {
          return
        }
        pauseMs = Math.min(2 * pauseMs, 5000)
      }
    }
  }

  /** What cannot be folded may be void: an administrator said so further ahead in the log. */
  async #isVoid(error: unknown): Promise<boolean> {
    const state = this.#state
    if (!(error instanceof FoldError) || state === undefined) return false
    try {
      const seeking = seekVoid(this.#context, this.#host.address, { error, state })
      if (!(await abortable(seeking, this.#closing.signal))) return false
    } catch {
      return false
    }
    this.drop(`record ${error.position} is void`)
    return true
  }

  #fatal(error: unknown): boolean {
    if (error instanceof LogOutOfRangeError) {
      this.#damaged(this.#state?.position ?? -1, errorText(error))
      return this.#closing.signal.aborted
    }
    const fatal =
      error instanceof FoldError ||
      error instanceof HistoryLostError ||
      error instanceof LogClosedError
    if (fatal) this.#stop(error)
    return fatal
  }

  #stop(error: Error): void {
    this.#closing.abort(error)
    this.#host.stopped(error)
  }

  /**
   * A copy of the log that cannot be: load again from elsewhere; the same place twice stops the
   * partition.
   */
  #damaged(position: number, reason: string): void {
    if (this.#damagedAt === position) {
      this.#stop(new HistoryLostError(`record ${position}: ${reason}`))
      return
    }
    this.#damagedAt = position
    if (this.#snapshot !== '') this.#badSnapshots.add(this.#snapshot)
    this.#context.logger.log('error', 'the log looks damaged; loading again', { position, reason })
    this.drop(`damaged at ${position}: ${reason}`)
  }

  async #round(): Promise<void> {
    const { eventLog } = this.#context.environment
    if (this.#reading.signal.aborted) this.#reading = new AbortController()
    const state = this.#state ?? (await abortable(this.#load(), this.#closing.signal))
    const { signal } = this.#reading
    const waitMs = this.#host.fetchMs()
    const sinceMs = this.#context.ports.clock.monotonicMs()
    const want = { from: state.position + 1, maxBytes: FETCH_MAX_BYTES, waitMs, signal }
    const result = await abortable(eventLog.fetch(this.#host.address, want), signal)
    if (this.#state !== state) return
    this.#end = result.end
    for (const record of result.records) {
      if (!this.#apply(record, state)) return
    }
    if (state.position + 1 >= result.end) this.#host.caughtUp(state, sinceMs)
  }

  async #load(): Promise<Partition<S, C, E>> {
    const { address } = this.#host
    const voids = this.#voids?.toJson() ?? []
    const loaded = await loadPartition(this.#context, address, {
      exclude: this.#badSnapshots,
      voids,
    })
    const sinceMs = this.#context.ports.clock.monotonicMs()
    const { end } = await this.#context.environment.eventLog.range(address)
    this.replayUntil = end
    this.#end = end
    this.#snapshot = loaded.snapshot
    this.#state = loaded.state
    this.#host.loaded(loaded.snapshot, loaded.state.position)
    if (loaded.state.position + 1 >= end) this.#host.caughtUp(loaded.state, sinceMs)
    return loaded.state
  }

  /** Returns false when the state was dropped. */
  #apply(record: LogRecord, state: Partition<S, C, E>): boolean {
    const expected = state.position + 1
    if (record.position !== expected) {
      this.#damaged(record.position, `position ${record.position} follows ${expected - 1}`)
      return false
    }
    const applied = state.apply(record, this.#host.own())
    if (applied.kind === 'damaged') {
      this.#damaged(record.position, applied.reason)
      return false
    }
    const again = this.#host.applied(record, applied, state)
    if (again) this.drop('folded again')
    return this.#state === state && !this.#closing.signal.aborted
  }
}
