import {
  decodeRecord,
  type EventLog,
  eventsTopic,
  type LogRecord,
  logTopic,
  openSnapshotDirectory,
  type SnapshotStore,
} from '@serverless-ai/eventlog'
import { faultToleranceDefinition } from '@serverless-ai/fault-tolerance'
import { type Message, RpcError } from '@serverless-ai/kernel'
import { mediatorDefinition } from '@serverless-ai/mediator'
import { poolDefinition } from '@serverless-ai/pool-manager'
import {
  createRuntime,
  type RuntimeEnvironment,
  type ServiceDefinition,
} from '@serverless-ai/runtime'
import { schedulerDefinition } from '@serverless-ai/scheduler'
import { readAll, withLog } from '../support/closed-log.ts'
import { quietPorts as ports } from '../support/quiet-ports.ts'

const PARTITION = 0

const nobody = (): Promise<never> =>
  Promise.reject(
    new RpcError({ code: 'UNAVAILABLE', reason: 'UNAVAILABLE', message: 'a fold calls nobody' }),
  )

/** Services whose history is checked. */
export const SERVICES = ['mediator', 'scheduler', 'pool-manager', 'fault-tolerance'] as const
export type Service = (typeof SERVICES)[number]

/** The log as it was when `last` was its last record. */
function cappedLog(inner: EventLog, last: number): EventLog {
  const end = last + 1
  return {
    kind: inner.kind,
    durability: inner.durability,
    append: nobody,
    async fetch(address, options) {
      const range = await inner.range(address)
      if (range.end < end) throw new Error(`${address.topic} ends at ${range.end}, before ${end}`)
      if (options.from >= end) {
        // A fold that is at the end waits here until it is closed.
        await ports.timers.sleep(options.waitMs, options.signal)
        return { records: [], start: 0, end }
      }
      const { records, start } = await inner.fetch(address, options)
      return { records: records.filter(({ position }) => position < end), start, end }
    },
    range: async (address) => ({ start: (await inner.range(address)).start, end }),
    trim: nobody,
    close: async () => {},
  }
}

/** The snapshots that existed at `last`. */
function cappedSnapshots(inner: SnapshotStore, last: number): SnapshotStore {
  return {
    put: nobody,
    list: async (address) => (await inner.list(address)).filter(({ position }) => position <= last),
    get: (address, name) => inner.get(address, name),
    remove: nobody,
  }
}

const noSnapshots: SnapshotStore = {
  put: nobody,
  list: async () => [],
  get: async () => undefined,
  remove: nobody,
}

async function foldWith<S, C extends Message, E extends Message>(
  definition: ServiceDefinition<S, C, E>,
  environment: RuntimeEnvironment,
): Promise<Folded> {
  const runtime = createRuntime(definition, environment, ports, { lead: false })
  try {
    await runtime.start()
    const { position, digest } = await runtime.digest()
    return { position, digest, snapshot: runtime.status().lastSnapshot }
  } finally {
    await runtime.stop()
  }
}

/** What a fold came to. */
export interface Folded {
  readonly position: number
  readonly digest: string
  /** Snapshot it began with; empty = the start of the log. */
  readonly snapshot: string
}

/**
 * Folds the history of a service up to `last` with the service's own core, from the newest snapshot
 * or from the start.
 */
export function fold(
  log: EventLog,
  init: { dataDir: string; service: Service; last: number; from: 'snapshot' | 'start' },
): Promise<Folded> {
  const { dataDir, service, last } = init
  const store = openSnapshotDirectory({ directory: `${dataDir}/snapshots`, ports })
  const environment: RuntimeEnvironment = {
    eventLog: cappedLog(log, last),
    snapshots: init.from === 'snapshot' ? cappedSnapshots(store, last) : noSnapshots,
    feed: nobody,
    replica: 'audit',
    address: '',
    partition: PARTITION,
  }
  switch (service) {
    case 'mediator':
      return foldWith(
        mediatorDefinition({
          validate: nobody,
          enqueue: nobody,
          cancel: nobody,
          recover: nobody,
          giveUp: nobody,
          explain: nobody,
        }),
        environment,
      )
    case 'scheduler':
      return foldWith(schedulerDefinition(), environment)
    case 'pool-manager':
      return foldWith(poolDefinition(), environment)
    case 'fault-tolerance':
      return foldWith(
        faultToleranceDefinition(() => ({ recover: nobody, giveUp: nobody })),
        environment,
      )
  }
}

const seqOf = (record: LogRecord): number => Number(record.headers['ce_id']?.split('/').at(-1))

/**
 * Sentences about the public events of a service: each seq follows the one before, what comes again
 * is the same byte by byte, and nothing is missing up to `publicSeq`.
 */
export async function publicBreaches(
  log: EventLog,
  init: { service: Service; publicSeq: number },
): Promise<string[]> {
  const { service, publicSeq } = init
  const breaches: string[] = []
  const seen = new Map<number, Uint8Array>()
  let last: number | undefined
  for (const record of await readAll(log, eventsTopic(service))) {
    const seq = seqOf(record)
    const before = seen.get(seq)
    if (before !== undefined && Buffer.compare(before, record.value) !== 0) {
      breaches.push(`${service}: public event ${seq} was published with two contents`)
    }
    if (before === undefined && last !== undefined && seq !== last + 1) {
      breaches.push(`${service}: public event ${seq} follows ${last}`)
    }
    seen.set(seq, record.value)
    last = Math.max(last ?? 0, seq)
  }
  if ((last ?? 0) < publicSeq) {
    breaches.push(`${service}: published up to ${last ?? 0}, committed up to ${publicSeq}`)
  }
  return breaches
}

/** Offset up to which the private log says that the public events of a service are out. */
async function publishedThrough(log: EventLog, service: Service): Promise<number> {
  let offset = -1
  for (const record of await readAll(log, logTopic(service))) {
    const { body } = decodeRecord(record.value)
    if (body?.$case !== 'commit') continue
    for (const { type, data } of body.value.runtime) {
      if (type === 'PublishedThrough') offset = Number(JSON.parse(data).offset)
    }
  }
  return offset
}

/**
 * Removes public events as retention does, up to what the publisher still needs; returns how many.
 */
export async function expirePublicEvents(dataDir: string, service: Service): Promise<number> {
  return withLog(dataDir, async (log) => {
    const address = { topic: eventsTopic(service), partition: PARTITION }
    const { start } = await log.range(address)
    const below = await publishedThrough(log, service)
    if (below > start) await log.trim(address, below)
    return Math.max(0, below - start)
  })
}
