import type { Clock, Logger, Timers } from '@serverless-ai/kernel'
import { checkAddress, checkEntries } from '../checks.ts'
import { LogClosedError } from '../errors.ts'
import type { LogEntry } from '../port.ts'
import { AppendRefusedError, type EventLog, type FetchResult, type LogAddress } from '../port.ts'
import { type AppendObserver, PartitionAppender } from './appender.ts'
import { durabilityOf, type KafkaConnection, type KafkaTarget, kafkaTarget } from './connection.ts'
import { clusterFailure } from './errors.ts'
import { openPartitionWriter, type PartitionWriter, SendFailure } from './kafkajs-driver.ts'
import type { Dial } from './kafkajs-socket.ts'
import { KafkaReader } from './reader.ts'
import { KafkaWire } from './wire.ts'
import type { KafkaAddress } from './wire-brokers.ts'
import { kafkaErrorCode, WireError } from './wire-error.ts'

/** How to open a log on a Kafka cluster. */
export interface KafkaLogOptions extends KafkaConnection {
  readonly ports: { readonly clock: Clock; readonly timers: Timers; readonly logger: Logger }
  /** Where to connect instead of a broker's own address: for tunnels, and for faults in tests. */
  readonly dial?: Dial
  /** Copies of each topic. Default: as many as there are brokers now. */
  readonly copies?: number
  /** Told of appends. Default: nobody. */
  readonly observer?: AppendObserver
}

type FetchOptions = Parameters<EventLog['fetch']>[1]

/** Reads and writes of topics that are no log: what is lost is lost. */
export type KafkaRecords = Pick<EventLog, 'append' | 'fetch' | 'range' | 'close'>

/**
 * Reads and writes of records that may be lost: an append is acknowledged by the broker that leads
 * alone. Asks nobody at the start, so a cluster that is away holds nobody up. Throws RangeError for
 * options that cannot be meant.
 */
export function openKafkaRecords(options: KafkaLogOptions): KafkaRecords {
  const target = kafkaTarget(options)
  const wire = new KafkaWire(target, options.dial)
  return new KafkaLog({ options, target, wire, durability: '', acks: 'leader' })
}

/**
 * Opens a log on Kafka 4. Topics must exist (`applyTopics`). Any number of processes may have it
 * open; who may write is settled by arbitration above. Rejects with KafkaLogError.
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<EventLog> {
  const target = kafkaTarget(options)
  const wire = new KafkaWire(target, options.dial)
  try {
    const durability = durabilityOf(options.copies ?? (await wire.brokerCount()))
    return new KafkaLog({ options, target, wire, durability, acks: 'all' })
  } catch (error) {
    wire.close()
    if (!(error instanceof WireError)) throw error
    throw clusterFailure(target, kafkaErrorCode(error.code), error)
  }
}

class KafkaLog implements EventLog {
  readonly kind = 'kafka'
  readonly durability: string
  readonly #options: KafkaLogOptions
  readonly #target: KafkaTarget
  readonly #wire: KafkaWire
  readonly #reader: KafkaReader
  readonly #acks: 'all' | 'leader'
  readonly #appenders = new Map<string, PartitionAppender>()
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined

  constructor(init: {
    options: KafkaLogOptions
    target: KafkaTarget
    wire: KafkaWire
    durability: string
    acks: 'all' | 'leader'
  }) {
    this.#options = init.options
    this.#target = init.target
    this.#wire = init.wire
    this.durability = init.durability
    this.#acks = init.acks
    this.#reader = new KafkaReader({
      ports: init.options.ports,
      wire: init.wire,
      patienceMs: init.target.requestTimeoutMs,
      closing: this.#closing.signal,
    })
  }

  #at({ topic, partition }: LogAddress): KafkaAddress {
    return { topic: `${this.#target.topicPrefix}${topic}`, partition }
  }

  async append(address: LogAddress, entries: readonly LogEntry[]): Promise<{ position: number }> {
    checkEntries(address, entries)
    this.#refuseWhenClosed()
    const at = this.#at(address)
    const name = `${at.topic}/${at.partition}`
    let appender = this.#appenders.get(name)
    if (appender === undefined) {
      const { ports, observer } = this.#options
      appender = new PartitionAppender({
        ...at,
        ports,
        observer,
        timeoutMs: this.#target.requestTimeoutMs,
        open: () => this.#openWriter(at),
      })
      this.#appenders.set(name, appender)
    }
    return appender.append(entries)
  }

  /**
   * Starts from the broker that leads: kafkajs asks the first of its list alone for as long as it
   * takes connections, even if it never answers.
   */
  async #openWriter(at: KafkaAddress): Promise<PartitionWriter> {
    const { ports, dial } = this.#options
    const leader = await this.#wire.leader(at).catch((error: unknown) => {
      throw new SendFailure('no', error)
    })
    const target = { ...this.#target, brokers: [`${leader.host}:${leader.port}`] }
    const driver = { target, logger: ports.logger, ...(dial && { dial }) }
    return openPartitionWriter({ ...driver, ...at, acks: this.#acks })
  }

  async fetch(address: LogAddress, options: FetchOptions): Promise<FetchResult> {
    checkAddress(address)
    const { signal, ...rest } = options
    signal?.throwIfAborted()
    this.#closing.signal.throwIfAborted()
    const signals = signal === undefined ? [this.#closing.signal] : [signal, this.#closing.signal]
    const stop = (): void => {
      for (const each of signals) each.throwIfAborted()
    }
    return orAborted(this.#reader.fetch(this.#at(address), { ...rest, stop }), ...signals)
  }

  async range(address: LogAddress): Promise<{ start: number; end: number }> {
    checkAddress(address)
    this.#closing.signal.throwIfAborted()
    return orAborted(this.#reader.range(this.#at(address)), this.#closing.signal)
  }

  async trim(address: LogAddress, below: number): Promise<void> {
    checkAddress(address)
    this.#refuseWhenClosed()
    await orAborted(this.#reader.trim(this.#at(address), below), this.#closing.signal)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort(new LogClosedError())
    this.#wire.close()
    await Promise.all([...this.#appenders.values()].map((appender) => appender.close()))
  }

  #refuseWhenClosed(): void {
    if (this.#closing.signal.aborted) throw new AppendRefusedError('CLOSED', 'the log is closed')
  }
}

/** The promise, or the reason of the first signal that is aborted, as soon as it is. */
function orAborted<T>(promise: Promise<T>, ...signals: readonly AbortSignal[]): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signals.find((signal) => signal.aborted)?.reason)
    for (const signal of signals) signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => {
      for (const signal of signals) signal.removeEventListener('abort', onAbort)
    })
  })
}
