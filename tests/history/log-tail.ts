import { decodeRecord, type EventLog, eventsTopic, logTopic } from '@serverless-ai/eventlog'
import type { ServiceName } from '@serverless-ai/hosting'
import type { Landed } from '@serverless-ai/sim'
import { readAll } from '../support/closed-log.ts'

/** A record of a service's log as it was first seen. */
interface SeenRecord {
  readonly atMs: number
  readonly epoch: number
  /** Of a claim: who claims. */
  readonly replica: string | undefined
}

const FETCH_BYTES = 4 * 1024 * 1024
const WAIT_MS = 200
const AGAIN_MS = 100
const PARTITION = 0

const nowMs = (): number => performance.timeOrigin + performance.now()

/** Reads the private logs of services as they grow, and notes when each record was first seen. */
export class LogTail {
  readonly #log: EventLog
  readonly #services: readonly ServiceName[]
  readonly #records = new Map<ServiceName, SeenRecord[]>()
  readonly #wakers = new Set<() => void>()
  readonly #stop = new AbortController()
  #loops: Promise<unknown> = Promise.resolve()

  constructor(log: EventLog, services: readonly ServiceName[]) {
    this.#log = log
    this.#services = services
    for (const service of services) this.#records.set(service, [])
  }

  start(): void {
    this.#loops = Promise.all(this.#services.map((service) => this.#follow(service)))
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#loops
  }

  /** Newest epoch of a service, and who claimed it; epoch 0 = nobody yet. */
  leader(service: ServiceName): { readonly epoch: number; readonly replica: string } {
    let newest = { epoch: 0, replica: '' }
    for (const { epoch, replica } of this.#records.get(service) ?? []) {
      if (replica !== undefined && epoch > newest.epoch) newest = { epoch, replica }
    }
    return newest
  }

  /** When the first commit of an epoch above `epoch` was seen. Rejects when none is in time. */
  async commitAbove(service: ServiceName, epoch: number, timeoutMs: number): Promise<number> {
    const deadline = nowMs() + timeoutMs
    for (;;) {
      const found = this.#first(service, (one) => one.replica === undefined && one.epoch > epoch)
      if (found !== undefined) return found.atMs
      const left = deadline - nowMs()
      if (left <= 0) throw new Error(`no commit of ${service} above epoch ${epoch}`)
      await this.#grown(left)
    }
  }

  /** When the first claim of an epoch above `epoch` was seen; undefined = not yet. */
  claimedAbove(service: ServiceName, epoch: number): number | undefined {
    return this.#first(service, (one) => one.replica !== undefined && one.epoch > epoch)?.atMs
  }

  #first(service: ServiceName, matches: (one: SeenRecord) => boolean): SeenRecord | undefined {
    return this.#records.get(service)?.find(matches)
  }

  #grown(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#wakers.delete(done)
        resolve()
      }
      const timer = setTimeout(done, timeoutMs)
      this.#wakers.add(done)
    })
  }

  async #follow(service: ServiceName): Promise<void> {
    const { signal } = this.#stop
    let from = 0
    while (!signal.aborted) {
      try {
        from = await this.#read(service, from)
      } catch {
        // Brokers fail on purpose here: asked again, it goes on where it was.
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
      }
    }
  }

  /** Waits for records from a position on; returns where to go on. */
  async #read(service: ServiceName, from: number): Promise<number> {
    const address = { topic: logTopic(service), partition: PARTITION }
    const want = { from, maxBytes: FETCH_BYTES, waitMs: WAIT_MS, signal: this.#stop.signal }
    const { records } = await this.#log.fetch(address, want)
    const atMs = nowMs()
    for (const { value } of records) this.#take(service, value, atMs)
    if (records.length > 0) for (const wake of [...this.#wakers]) wake()
    return (records.at(-1)?.position ?? from - 1) + 1
  }

  #take(service: ServiceName, value: Uint8Array, atMs: number): void {
    const { body } = decodeRecord(value)
    const records = this.#records.get(service)!
    if (body?.$case === 'claim') {
      const { epoch, replica } = body.value
      records.push({ atMs, epoch: Number(epoch), replica })
    } else if (body?.$case === 'commit') {
      records.push({ atMs, epoch: Number(body.value.epoch), replica: undefined })
    }
  }
}

/**
 * Everything that stands in the topics of services: each private log before its public events. The
 * services may go on meanwhile, so the events are read first: the log then has what they come from.
 */
export async function readCell(
  log: EventLog,
  services: readonly ServiceName[],
): Promise<readonly Landed[]> {
  const landed: Landed[] = []
  for (const service of services) {
    const events = await landedOf(log, eventsTopic(service))
    landed.push(...(await landedOf(log, logTopic(service))), ...events)
  }
  return landed
}

async function landedOf(log: EventLog, topic: string): Promise<readonly Landed[]> {
  const records = await readAll(log, topic)
  return records.map(({ position, key, headers, value }) => {
    return { atMs: 0, topic, partition: PARTITION, position, key, headers, value }
  })
}
