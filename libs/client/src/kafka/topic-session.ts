// Everything that drives kafkajs: one partition, read from an offset on, through a group of one
// member that commits nothing.
import type { Timers } from '@serverless-ai/kernel'
import kafkajs, {
  type Admin,
  type Consumer,
  type EachBatchPayload,
  type Kafka,
  type PartitionAssigner,
} from 'kafkajs'
import type { RawRecord } from '../events/event.ts'
import { MissedEventsError } from '../events/ports.ts'

const { AssignerProtocol } = kafkajs

/** Wait of the broker for the next records; the end of a session waits for it, ms. */
const MAX_WAIT_MS = 300
/** After so long without records the range is looked at again, ms. */
const IDLE_MS = 5_000
/** While the table is busy the group hears of us this often, ms. */
const HEARTBEAT_MS = 3_000

/** What a session reads. */
export interface TopicSessionInit {
  readonly kafka: Kafka
  readonly topic: string
  readonly partition: number
  readonly groupId: string
  readonly timers: Timers
  readonly signal: AbortSignal
}

/** A piece on its way to the reader; `done` lets kafkajs fetch on. */
interface Piece {
  readonly records: readonly RawRecord[]
  readonly done: () => void
}

/** Kafka's errors that only an operator can mend. */
const FINAL = new Set(['KafkaJSSASLAuthenticationError', 'KafkaJSUnsupportedMechanismError'])

/** True when repeating cannot help: wrong credentials, no right to read. */
export function isFinal(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const type = 'type' in error ? String(error.type) : ''
  if (FINAL.has(error.name) || type.endsWith('AUTHORIZATION_FAILED')) return true
  return error.cause !== undefined && isFinal(error.cause)
}

/** The group's only member gets the one partition, however many the topic has. */
const onlyPartition =
  (topic: string, partition: number): PartitionAssigner =>
  () => ({
    name: 'only-partition',
    version: 0,
    async assign({ members }) {
      const assignment = { [topic]: [partition] }
      const memberAssignment = AssignerProtocol.MemberAssignment.encode({
        version: 0,
        assignment,
        userData: Buffer.alloc(0),
      })
      return members.slice(0, 1).map(({ memberId }) => ({ memberId, memberAssignment }))
    },
    protocol({ topics }) {
      const metadata = { version: 0, topics, userData: Buffer.alloc(0) }
      return { name: 'only-partition', metadata: AssignerProtocol.MemberMetadata.encode(metadata) }
    },
  })

const textOf = (header: unknown): string => {
  const first: unknown = Array.isArray(header) ? header[0] : header
  return first instanceof Uint8Array || typeof first === 'string' ? first.toString() : ''
}

/**
 * One read of a partition. kafkajs moves a reader that is out of range to the beginning of the
 * topic without a word (breaking the promise that a gap is seen), so each piece is compared with
 * the offset that was wanted.
 */
export class TopicSession {
  readonly #init: TopicSessionInit
  readonly #admin: Admin
  readonly #consumer: Consumer
  #next = 0
  #waiting: Piece | undefined
  #failure: { readonly error: unknown } | undefined
  #wake: (() => void) | undefined
  #closed = false

  constructor(init: TopicSessionInit) {
    this.#init = init
    const { kafka, topic, partition, groupId } = init
    this.#admin = kafka.admin()
    this.#consumer = kafka.consumer({
      groupId,
      partitionAssigners: [onlyPartition(topic, partition)],
      maxWaitTimeInMs: MAX_WAIT_MS,
      allowAutoTopicCreation: false,
      // What fails ends the session; the consumer above pauses and opens the next.
      retry: { retries: 1, restartOnFailure: async () => false },
    })
  }

  /** Connects and stands at `from`. Throws {@link MissedEventsError} when that is out of range. */
  async open(from: number): Promise<void> {
    const { topic, partition } = this.#init
    this.#next = from
    await this.#admin.connect()
    await this.#checkRange()
    const { CRASH, GROUP_JOIN } = this.#consumer.events
    this.#consumer.on(CRASH, ({ payload }) => this.#fail(payload.error))
    // A group that is joined anew begins anew: without a committed offset, at the beginning.
    this.#consumer.on(GROUP_JOIN, () => {
      this.#consumer.seek({ topic, partition, offset: String(this.#next) })
    })
    await this.#consumer.connect()
    await this.#consumer.subscribe({ topic, fromBeginning: true })
    await this.#consumer.run({ autoCommit: false, eachBatch: (payload) => this.#onBatch(payload) })
  }

  /** Pieces in order without a gap between offsets; an empty one when there is nothing for long. */
  async *batches(): AsyncGenerator<readonly RawRecord[]> {
    for (;;) {
      await this.#somethingNew()
      this.#init.signal.throwIfAborted()
      if (this.#failure !== undefined) throw this.#failure.error
      const piece = this.#waiting
      if (piece === undefined) {
        await this.#checkRange()
        yield []
        continue
      }
      const records = await this.#inOrder(piece.records)
      if (records.length > 0) yield records
      // A membership that began anew meanwhile has brought another one.
      if (this.#waiting === piece) this.#waiting = undefined
      piece.done()
    }
  }

  /** Leaves the group and closes the connections. */
  async close(): Promise<void> {
    this.#closed = true
    this.#waiting?.done()
    this.#wake?.()
    await Promise.allSettled([this.#consumer.disconnect(), this.#admin.disconnect()])
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#wake?.()
  }

  /** Resolves on a piece, a failure, an abort, or after a while without any. */
  async #somethingNew(): Promise<void> {
    const { timers, signal } = this.#init
    if (this.#waiting !== undefined || this.#failure !== undefined || signal.aborted) return
    await new Promise<void>((resolve) => {
      const timer = timers.after(IDLE_MS, () => resolve())
      const wake = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#wake = wake
      signal.addEventListener('abort', wake, { once: true })
    })
    this.#wake = undefined
  }

  /** Hands a batch over and keeps the membership alive until it is taken. */
  async #onBatch({ batch, heartbeat }: EachBatchPayload): Promise<void> {
    const records = batch.messages.map(({ offset, key, headers = {}, value }): RawRecord => {
      const texts = Object.entries(headers).map(([name, header]) => [name, textOf(header)])
      return {
        offset: Number(offset),
        key: key?.toString() ?? '',
        headers: Object.fromEntries(texts),
        value: value ?? new Uint8Array(0),
      }
    })
    let taken = this.#closed
    const end = new Promise<void>((resolve) => {
      const done = (): void => {
        taken = true
        resolve()
      }
      this.#waiting = { records, done }
      if (this.#closed) done()
      this.#wake?.()
    })
    while (!taken) {
      const rest = new AbortController()
      const beat = this.#init.timers.sleep(HEARTBEAT_MS, rest.signal).catch(() => undefined)
      await Promise.race([end, beat])
      rest.abort()
      if (!taken) await heartbeat()
    }
  }

  async #inOrder(records: readonly RawRecord[]): Promise<readonly RawRecord[]> {
    const { topic, partition } = this.#init
    const fresh = records.filter(({ offset }) => offset >= this.#next)
    const first = fresh[0]
    if (first === undefined) {
      // Moved back, by a new membership or because our offset is beyond the end.
      await this.#checkRange()
      this.#consumer.seek({ topic, partition, offset: String(this.#next) })
      return []
    }
    const last = fresh.at(-1)?.offset ?? first.offset
    if (first.offset !== this.#next || last - first.offset !== fresh.length - 1) {
      throw new MissedEventsError(
        `${topic}/${partition} goes on at offset ${first.offset}, not at ${this.#next}`,
      )
    }
    this.#next = last + 1
    return fresh
  }

  async #checkRange(): Promise<void> {
    const { topic, partition } = this.#init
    const offsets = await this.#admin.fetchTopicOffsets(topic)
    const range = offsets.find((each) => each.partition === partition)
    if (range === undefined) throw new Error(`there is no partition ${partition} of ${topic}`)
    const [low, high] = [Number(range.low), Number(range.high)]
    if (this.#next >= low && this.#next <= high) return
    const text = `${topic}/${partition} is kept from offset ${low} to ${high}, wanted ${this.#next}`
    throw new MissedEventsError(text)
  }
}
