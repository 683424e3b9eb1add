/**
 * Consumes the public events of other services: by offset, with a mark of (seq, offset) that is
 * folded with what they led to.
 */
import { eventsTopic, LogOutOfRangeError, type LogRecord } from '@serverless-ai/eventlog'
import { type Message, type Span, type Timer, TRACEPARENT } from '@serverless-ai/kernel'
import { bootstrap } from './bootstrap.ts'
import { IDLE_FETCH_MS } from './context.ts'
import { errorText } from './errors.ts'
import { type Mark, type ParkedFact, parkedFact } from './facts.ts'
import { sourceKey } from './framework.ts'
import { publicEventOf } from './public-events.ts'
import type { Session, SessionPart } from './session.ts'
import { Signal } from './signal.ts'
import type { InputSource, PublicEvent } from './types.ts'

/** Inputs of one source that may wait for their commit. */
const WINDOW_MAX = 1024
/** Marks that are remembered because readers wait for them; beyond, readers wait for the timer. */
const WANTED_MAX = 1024
const FETCH_BYTES = 1024 * 1024
/** Marks of events that need no decision are folded after so many, or this long after the first. */
const MARK_EVERY_EVENTS = 1000
const MARK_AFTER_MS = 10_000
const RETRY_MS = 100
const RETRY_MAX_MS = 5000
const BOOTSTRAP_PAUSE_MS = 1000
const BOOTSTRAP_PAUSE_MAX_MS = 30_000

/** Template of what is parked for a public event. */
function parkedEvent(event: PublicEvent, offset: number): ParkedFact {
  const { source, partition, seq, type, key, payload } = event
  return {
    ...parkedFact({ source: sourceKey(source, partition), name: type, key }),
    seq,
    offset,
    content: Buffer.from(payload).toString('base64').slice(0, 4096),
  }
}

/** Reader of one source. */
export class InputReader<S, C extends Message, E extends Message> implements SessionPart {
  readonly #session: Session<S, C, E>
  readonly #source: InputSource<C>
  readonly #room = new Signal()
  #cursor: Mark
  /** Offset to read next. */
  #next = 0
  #outstanding = 0
  /** Seqs whose marks readers wait for. */
  readonly #wanted = new Set<number>()
  #timer: Timer | undefined
  #flushing = false
  #sinceBootstrap = 0
  #bootstraps = 0

  constructor(session: Session<S, C, E>, source: InputSource<C>) {
    this.#session = session
    this.#source = source
    this.#cursor = { source: source.service, partition: session.partition, seq: 0, offset: 0 }
  }

  get service(): string {
    return this.#source.service
  }

  start(): void {
    this.#moveTo(this.#folded() ?? this.#cursor)
    this.#session.signal.addEventListener('abort', () => this.#timer?.cancel(), { once: true })
    void this.#run()
  }

  #moveTo(mark: Mark): void {
    this.#cursor = mark
    this.#next = mark.seq === 0 ? 0 : mark.offset + 1
  }

  #folded(): Mark | undefined {
    const key = sourceKey(this.#source.service, this.#session.partition)
    return this.#session.state()?.framework.marks.get(key)
  }

  /** The mark that may be folded without any decision: everything before it is committed. */
  openMark(): Mark | undefined {
    const foldedSeq = this.#folded()?.seq ?? 0
    return this.#outstanding === 0 && this.#cursor.seq > foldedSeq ? this.#cursor : undefined
  }

  /** A reader waits for the mark of this source to reach `seq`, which may be still to come. */
  wanted(seq: number): void {
    this.#wanted.add(seq)
    const [oldest] = this.#wanted
    if (oldest !== undefined && this.#wanted.size > WANTED_MAX) this.#wanted.delete(oldest)
    this.#serveReaders()
  }

  #serveReaders(): void {
    if (this.#wanted.size === 0) return
    const foldedSeq = this.#folded()?.seq ?? 0
    const openSeq = this.openMark()?.seq ?? 0
    let due = false
    for (const seq of this.#wanted) {
      if (seq <= foldedSeq) this.#wanted.delete(seq)
      else due ||= seq <= openSeq
    }
    if (due) this.#flush()
  }

  #flush(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#outstanding > 0) this.#later()
    if (this.#flushing || this.openMark() === undefined) return
    this.#flushing = true
    this.#session.submit({ kind: 'marks', onLost: () => {} })
    // The item is taken in the next batch, with whatever is open then.
    void this.#session.context.ports.timers.yieldTurn().then(() => {
      this.#flushing = false
    })
  }

  async #run(): Promise<void> {
    const { context, signal } = this.#session
    let pauseMs = RETRY_MS
    while (!signal.aborted) {
      try {
        if (!(await this.#read())) await this.#replace()
        pauseMs = RETRY_MS
      } catch (error) {
        if (signal.aborted) return
        const fields = { source: this.service, error: errorText(error) }
        context.logger.log('warn', 'inputs cannot be read', fields)
        try {
          await context.ports.timers.sleep(pauseMs, signal)
        } catch {
          return
        }
        pauseMs = Math.min(2 * pauseMs, RETRY_MAX_MS)
      }
    }
  }

  /**
   * Reads a piece; false = the source's history has a gap and has to be replaced by its present
   * state.
   */
  async #read(): Promise<boolean> {
    const { context, signal, partition } = this.#session
    while (this.#outstanding >= WINDOW_MAX) await this.#room.wait(signal)
    const address = { topic: eventsTopic(this.service), partition }
    try {
      const from = this.#next
      const want = { from, maxBytes: FETCH_BYTES, waitMs: IDLE_FETCH_MS, signal }
      const { records } = await context.environment.eventLog.fetch(address, want)
      return records.every((record) => this.#take(record))
    } catch (error) {
      if (!(error instanceof LogOutOfRangeError)) throw error
      const fields = { source: this.service, error: error.message }
      context.logger.log('warn', 'the mark of a source is outside its topic', fields)
      return false
    }
  }

  /** False = gap. */
  #take(record: LogRecord): boolean {
    const { service } = this.#source
    const { partition } = this.#session
    const offset = record.position
    this.#next = offset + 1
    let event: PublicEvent
    try {
      event = publicEventOf(service, partition, record)
    } catch (error) {
      const source = sourceKey(service, partition)
      const parked = { ...parkedFact({ source, name: '', key: record.key }), offset }
      this.#cursor = { ...this.#cursor, offset }
      this.#submit(undefined, { ...parked, error: errorText(error) })
      return true
    }
    if (event.seq <= this.#cursor.seq) {
      this.#cursor = { ...this.#cursor, offset }
      return true
    }
    if (event.seq !== this.#cursor.seq + 1) {
      // Read again should the bootstrap fail: there may be no later record that shows the gap.
      this.#next = offset
      return false
    }
    this.#cursor = { source: service, partition, seq: event.seq, offset }
    this.#sinceBootstrap += 1
    try {
      const command = this.#source.toCommand(event)
      if (command === undefined) this.#skipped()
      else this.#submit(command, parkedEvent(event, offset), this.#span(event, record))
    } catch (error) {
      this.#submit(undefined, { ...parkedEvent(event, offset), error: errorText(error) })
    }
    return true
  }

  #skipped(): void {
    if (this.#cursor.seq - (this.#folded()?.seq ?? 0) >= MARK_EVERY_EVENTS) this.#flush()
    else this.#later()
    this.#serveReaders()
  }

  #later(): void {
    const { timers } = this.#session.context.ports
    this.#timer ??= timers.after(MARK_AFTER_MS, () => this.#flush())
  }

  /** The span of a public event that leads to something here, as part of the trace it came with. */
  #span({ type, key, source, seq }: PublicEvent, { headers }: LogRecord): Span | undefined {
    const parent = headers[TRACEPARENT]
    const { traces } = this.#session.context
    if (traces === undefined || parent === undefined) return undefined
    const attributes = {
      'messaging.operation.name': 'process',
      'messaging.destination.name': eventsTopic(source),
      'sai.event': type,
      'sai.key': key,
      'sai.seq': seq,
    }
    const name = `consume ${type.slice(type.lastIndexOf('.') + 1)}`
    const span = traces.span(name, { kind: 'consumer', parent, attributes })
    traces.note(key, span.context)
    return span
  }

  #submit(command: C | undefined, parked: ParkedFact, span?: Span): void {
    this.#outstanding += 1
    this.#session.submit({
      kind: 'input',
      command,
      mark: this.#cursor,
      parked,
      undecodable: command === undefined,
      trace: span?.context,
      onCommitted: () => {
        span?.end()
        this.#outstanding -= 1
        this.#room.notify()
        this.#serveReaders()
      },
      onLost: (error) => span?.end({ error: error.message }),
    })
  }

  async #replace(): Promise<void> {
    const { context, signal } = this.#session
    if (this.#bootstraps > 0 && this.#sinceBootstrap === 0) {
      // A source whose topic and snapshots do not fit yet must not be asked in a loop.
      const pauseMs = BOOTSTRAP_PAUSE_MS * 2 ** (this.#bootstraps - 1)
      await context.ports.timers.sleep(Math.min(pauseMs, BOOTSTRAP_PAUSE_MAX_MS), signal)
    } else {
      this.#bootstraps = 0
    }
    this.#bootstraps += 1
    this.#sinceBootstrap = 0
    context.logger.log('warn', 'events of a source were missed; its present state is taken over', {
      source: this.service,
      afterSeq: this.#cursor.seq,
    })
    this.#moveTo(await bootstrap(this.#session, this.#source))
  }
}
