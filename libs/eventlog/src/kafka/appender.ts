import type { Clock, Logger, Timers } from '@serverless-ai/kernel'
import { AppendOutcomeUnknownError, AppendRefusedError, type LogEntry } from '../port.ts'
import { causes, missingTopic } from './errors.ts'
import { type Outgoing, type PartitionWriter, SendFailure } from './kafkajs-driver.ts'

/** Appends that wait are sent together up to this; larger ones go alone, bytes. */
const JOIN_MAX_BYTES = 1024 * 1024
/** The largest batch: leaves room for headers and framing below the topics' `max.message.bytes`. */
export const BATCH_MAX_BYTES = 8 * 1024 * 1024 + 512 * 1024
/** Bytes of appends that wait for one partition; beyond, appends are refused. */
const WAITING_MAX_BYTES = 64 * 1024 * 1024
/** What framing costs at most beside the text of key, value and headers, bytes. */
const FRAME_BYTES = 64
const RETRY_MS = 100

/** A batch whose outcome is known, as far as it ever will be. */
export interface ObservedAppend {
  /** With the prefix, if there is one. */
  readonly topic: string
  /** `refused`: certainly not written. */
  readonly outcome: 'acknowledged' | 'unknown' | 'refused'
  readonly bytes: number
  /** From the first attempt on. */
  readonly tookMs: number
}

/** Told of appends, for metrics: it must be quick, and must not throw. */
export interface AppendObserver {
  ended(append: ObservedAppend): void
  /** A batch that was certainly not written is sent again. */
  retried(topic: string): void
}

/** What the appender needs. */
export interface AppenderOptions {
  readonly ports: { readonly clock: Clock; readonly timers: Timers; readonly logger: Logger }
  /** For messages. */
  readonly topic: string
  readonly partition: number
  /** An append must have an outcome within about twice this, ms. */
  readonly timeoutMs: number
  readonly open: () => Promise<PartitionWriter>
  readonly observer?: AppendObserver | undefined
}

interface Waiting {
  readonly records: readonly Outgoing[]
  readonly bytes: number
  readonly resolve: (ack: { position: number }) => void
  readonly reject: (error: Error) => void
}

/** The caller's bytes are copied: what it does with its buffer later changes nothing. */
function outgoing({ key, headers, value }: LogEntry): Outgoing {
  return {
    key: key === '' ? null : Buffer.from(key),
    value: Buffer.from(value),
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)]),
    ),
  }
}

function bytesOf({ key, headers, value }: Outgoing): number {
  const texts = Object.entries(headers).map(
    ([name, text]) => Buffer.byteLength(name) + text.byteLength + FRAME_BYTES,
  )
  return texts.reduce(
    (sum, bytes) => sum + bytes,
    FRAME_BYTES + value.byteLength + (key?.byteLength ?? 0),
  )
}

/**
 * Appends to one partition: one batch on its way at a time, and what arrives meanwhile shares the
 * next one. So a batch is never overtaken by a later one of this process.
 */
export class PartitionAppender {
  readonly #options: AppenderOptions
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #writer: PartitionWriter | undefined
  #running: Promise<void> | undefined
  #closed = false

  constructor(options: AppenderOptions) {
    this.#options = options
  }

  /** Appends the entries as one. Rejects as {@link EventLog.append} does. */
  append(entries: readonly LogEntry[]): Promise<{ position: number }> {
    return new Promise((resolve, reject) => {
      const records = entries.map(outgoing)
      const bytes = records.reduce((sum, record) => sum + bytesOf(record), 0)
      if (this.#closed) throw new AppendRefusedError('CLOSED', 'the log is closed')
      if (bytes > BATCH_MAX_BYTES) {
        const message = `an append of ${bytes} bytes; at most ${BATCH_MAX_BYTES} are taken`
        throw new AppendRefusedError('RECORD_TOO_LARGE', message)
      }
      if (this.#waitingBytes + bytes > WAITING_MAX_BYTES) {
        throw new AppendRefusedError('IO', 'the brokers do not keep up: too much is waiting')
      }
      this.#waiting.push({ records, bytes, resolve, reject })
      this.#waitingBytes += bytes
      this.#running ??= this.#run()
    })
  }

  /** Refuses what waits, sees the batch on its way to its end, and lets go of the connection. */
  async close(): Promise<void> {
    this.#closed = true
    const refused = new AppendRefusedError('CLOSED', 'the log is closed')
    for (const { reject } of this.#waiting.splice(0)) reject(refused)
    await this.#running
    const writer = this.#writer
    this.#writer = undefined
    if (writer !== undefined) await this.#within(this.#close(writer), 'no').catch(() => undefined)
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#next()
      const startMs = this.#options.ports.clock.monotonicMs()
      try {
        let position = await this.#send(batch.flatMap(({ records }) => records))
        for (const { records, resolve } of batch) {
          resolve({ position })
          position += records.length
        }
        this.#observe('acknowledged', batch, startMs)
      } catch (error) {
        const failure = error instanceof Error ? error : new Error(String(error))
        const unknown = failure instanceof AppendOutcomeUnknownError
        this.#observe(unknown ? 'unknown' : 'refused', batch, startMs)
        for (const { reject } of batch) reject(failure)
      }
    }
    this.#running = undefined
  }

  #observe(outcome: ObservedAppend['outcome'], batch: readonly Waiting[], startMs: number): void {
    const { observer, topic, ports } = this.#options
    if (observer === undefined) return
    const bytes = batch.reduce((sum, each) => sum + each.bytes, 0)
    observer.ended({ topic, outcome, bytes, tookMs: ports.clock.monotonicMs() - startMs })
  }

  #next(): Waiting[] {
    let count = 1
    let bytes = this.#waiting[0]!.bytes
    while (count < this.#waiting.length) {
      bytes += this.#waiting[count]!.bytes
      if (bytes > JOIN_MAX_BYTES) break
      count += 1
    }
    const batch = this.#waiting.splice(0, count)
    for (const each of batch) this.#waitingBytes -= each.bytes
    return batch
  }

  /** Sends until there is an outcome, or until it is certain that there was none for too long. */
  async #send(records: readonly Outgoing[]): Promise<number> {
    const { ports, timeoutMs } = this.#options
    const deadlineMs = ports.clock.monotonicMs() + timeoutMs
    for (;;) {
      try {
        return await this.#attempt(records)
      } catch (error) {
        this.#dropWriter()
        const failure = error instanceof SendFailure ? error : new SendFailure('unknown', error)
        ports.logger.log('debug', 'an append was not acknowledged', {
          sent: failure.sent,
          error: failure.message,
        })
        if (failure.sent === 'unknown') throw this.#unknown(failure)
        const final = this.#final(failure)
        if (final !== undefined) throw final
        if (this.#closed) throw new AppendRefusedError('CLOSED', 'the log is closed')
        if (ports.clock.monotonicMs() >= deadlineMs) throw this.#refused(failure)
        this.#options.observer?.retried(this.#options.topic)
        await ports.timers.sleep(RETRY_MS)
      }
    }
  }

  async #attempt(records: readonly Outgoing[]): Promise<number> {
    this.#writer ??= await this.#open()
    return this.#within(this.#writer.send(records), 'unknown')
  }

  async #open(): Promise<PartitionWriter> {
    const opening = this.#options.open()
    try {
      return await this.#within(opening, 'no')
    } catch (error) {
      // One that comes too late is not wanted any more.
      opening.then(
        (writer) => this.#close(writer),
        () => undefined,
      )
      throw error
    }
  }

  /** The client's own time-outs add up; this one is the promise to the caller. */
  #within<T>(promise: Promise<T>, sent: SendFailure['sent']): Promise<T> {
    const { ports, timeoutMs } = this.#options
    return new Promise((resolve, reject) => {
      const timer = ports.timers.after(timeoutMs, () => {
        reject(new SendFailure(sent, new Error(`no answer within ${timeoutMs} ms`)))
      })
      promise.then(resolve, reject).finally(() => timer.cancel())
    })
  }

  #dropWriter(): void {
    const writer = this.#writer
    this.#writer = undefined
    // Nobody waits for it: kafkajs keeps a connection until everything on it has been answered.
    if (writer !== undefined) void this.#close(writer)
  }

  async #close(writer: PartitionWriter): Promise<void> {
    try {
      await writer.close()
    } catch (error) {
      const fields = { error: causes(error) }
      this.#options.ports.logger.log('debug', 'closing a connection to Kafka failed', fields)
    }
  }

  #unknown({ message }: SendFailure): Error {
    const { topic, partition } = this.#options
    return new AppendOutcomeUnknownError(
      `no acknowledgement from ${topic}/${partition} (${message}): the entries may be in the log`,
    )
  }

  /** What repeating cannot mend. */
  #final({ type, message }: SendFailure): Error | undefined {
    const { topic } = this.#options
    if (type === 'MESSAGE_TOO_LARGE' || type === 'RECORD_LIST_TOO_LARGE') {
      const mend =
        "its max.message.bytes is too small: 'sai admin topics check' says how to mend it"
      return new AppendRefusedError('RECORD_TOO_LARGE', `${topic} takes no such record; ${mend}`)
    }
    if (type.endsWith('AUTHORIZATION_FAILED')) {
      const mend = 'give this user the right to write it'
      return new AppendRefusedError(
        'READ_ONLY',
        `${topic} may not be written (${message}): ${mend}`,
      )
    }
    return undefined
  }

  #refused({ type, message }: SendFailure): Error {
    const { topic, partition } = this.#options
    if (type === 'UNKNOWN_TOPIC_OR_PARTITION') {
      return new AppendRefusedError('IO', missingTopic(topic, partition).message)
    }
    return new AppendRefusedError('IO', `${topic}/${partition} cannot be written: ${message}`)
  }
}
