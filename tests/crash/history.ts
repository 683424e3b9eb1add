import {
  decodeRecord,
  type EventLog,
  eventsTopic,
  type LogRecord,
  logTopic,
  openSnapshotDirectory,
} from '@serverless-ai/eventlog'
import { readAll, withLog } from '../support/closed-log.ts'
import { foldService, type Service } from '../support/fold.ts'
import { quietPorts as ports } from '../support/quiet-ports.ts'

const PARTITION = 0

/** What the leader of a service said of itself before it was killed. */
export interface Served {
  readonly service: Service
  readonly position: number
  readonly digest: string
  /** Last public event. */
  readonly publicSeq: number
}

/**
 * Sentences about a history that folds to something else than the leader served: from its start, or
 * from the newest snapshot.
 */
export async function foldBreaches(
  log: EventLog,
  dataDir: string,
  { service, position: through, digest }: Served,
): Promise<string[]> {
  const snapshots = openSnapshotDirectory({ directory: `${dataDir}/snapshots`, ports })
  const full = await foldService(service, { eventLog: log, through })
  const tail = await foldService(service, { eventLog: log, through, snapshots })
  const breaches: string[] = []
  if (tail.snapshot === '') breaches.push(`${service}: there is no snapshot`)
  if (full.diverged !== '') breaches.push(`${service}: ${full.diverged}`)
  if (full.digest !== digest || tail.digest !== digest) {
    breaches.push(
      `${service} at ${through}: served ${digest}, full fold ${full.digest}, ` +
        `snapshot ${tail.snapshot} and tail ${tail.digest}`,
    )
  }
  return breaches
}

const seqOf = (record: LogRecord): number => Number(record.headers['ce_id']?.split('/').at(-1))

/**
 * Sentences about the public events of a service: each seq follows the one before, what comes again
 * is the same byte by byte, and nothing is missing up to `publicSeq`.
 */
export async function publicBreaches(
  log: EventLog,
  { service, publicSeq }: Served,
): Promise<string[]> {
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
