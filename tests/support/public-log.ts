import {
  TaskExited,
  TaskReported,
  TaskStarted,
} from '@serverless-ai/contracts/events/v1/pool_manager'
import { eventsTopic } from '@serverless-ai/eventlog'
import { readAll, withLog } from './closed-log.ts'

/** A record of an events topic. */
export interface PublicRecord {
  readonly type: string
  readonly seq: number
  readonly payload: Uint8Array
}

/** All public events of a service, read from the log of a platform that has ended. */
export async function readPublicEvents(dataDir: string, service: string): Promise<PublicRecord[]> {
  const raw = await withLog(dataDir, (log) => readAll(log, eventsTopic(service)))
  const records: PublicRecord[] = []
  for (const { headers, value } of raw) {
    const seq = Number((headers['ce_id'] ?? '').split('/').at(-1))
    // A leader that died is followed by one that publishes again what it does not know to be out.
    if (seq <= (records.at(-1)?.seq ?? 0)) continue
    records.push({ type: headers['ce_type'] ?? '', seq, payload: value })
  }
  return records
}

/** What the pool manager accepted of a task, in its order. */
export interface Accepted {
  readonly what: 'started' | 'reported' | 'exited'
  readonly jobId: string
  readonly generation: number
  readonly rank: number
}

/** Starts, reports and ends of tasks in the order the pool manager published them. */
export async function acceptedOf(dataDir: string): Promise<Accepted[]> {
  const records = await readPublicEvents(dataDir, 'pool-manager')
  return records.flatMap(({ type, payload }): Accepted[] => {
    if (type.endsWith('.TaskStarted')) return [{ what: 'started', ...TaskStarted.decode(payload) }]
    if (type.endsWith('.TaskReported')) {
      return [{ what: 'reported', ...TaskReported.decode(payload) }]
    }
    if (type.endsWith('.TaskExited')) return [{ what: 'exited', ...TaskExited.decode(payload) }]
    return []
  })
}

/**
 * Sentences about everything of an older generation that was accepted after a newer one had
 * started, and about tasks started twice.
 */
export function generationBreaches(accepted: readonly Accepted[]): string[] {
  const newest = new Map<string, number>()
  const started = new Set<string>()
  const breaches: string[] = []
  for (const one of accepted) {
    const top = newest.get(one.jobId) ?? 0
    if (one.generation < top) {
      breaches.push(`${one.what} of ${one.jobId} generation ${one.generation} after ${top} started`)
    }
    if (one.what !== 'started') continue
    const key = `${one.jobId}/${one.generation}/${one.rank}`
    if (started.has(key)) breaches.push(`started twice: ${key}`)
    started.add(key)
    newest.set(one.jobId, Math.max(top, one.generation))
  }
  return breaches
}
