import { DatabaseSync } from 'node:sqlite'
import { JobStateChanged } from '@serverless-ai/contracts/events/v1/scheduler'
import type { Sent } from './publisher-faults.ts'

/** How far a table is; 0 when there is none yet. */
export function markOf(file: string): number {
  try {
    using db = new DatabaseSync(file, { readOnly: true, timeout: 5_000 })
    return Number(db.prepare('select seq from mark').get()?.['seq'] ?? 0)
  } catch {
    return 0
  }
}

/** True when pages of a bootstrap lie aside that did not come to its end. */
export function hasPagesAside(file: string): boolean {
  try {
    using db = new DatabaseSync(file, { readOnly: true, timeout: 5_000 })
    return db.prepare('select 1 from job_aside limit 1').get() !== undefined
  } catch {
    return false
  }
}

/** How the events came into a table. */
interface TableFacts {
  readonly byStream: number
  /** In the ranges of bootstraps. */
  readonly byBootstrap: number
  readonly streamPercent: number
  readonly bootstrapsForGaps: number
  readonly bootstrapsOutOfRange: number
}

/** Compares a consumer's table with what was published. */
export function checkTable(
  file: string,
  truth: { readonly sent: ReadonlyMap<number, Sent>; readonly lost: ReadonlySet<number> },
): {
  readonly breaches: readonly string[]
  readonly facts: TableFacts
} {
  using db = new DatabaseSync(file, { readOnly: true })
  const breaches: string[] = []
  const count = truth.sent.size
  const times = new Uint8Array(count + 1)
  const events = db.prepare('select seq, type, key, at_ms from event').all()
  for (const row of events) {
    const seq = Number(row['seq'])
    const sent = truth.sent.get(seq)
    times[seq] = (times[seq] ?? 0) + 1
    const same =
      sent?.type === row['type'] && sent?.key === row['key'] && sent?.atMs === row['at_ms']
    if (!same) breaches.push(`event ${seq} is not the one that was published`)
  }
  const bootstraps = db.prepare('select after_seq, through_seq, cause from bootstrap').all()
  let taken = 0
  for (const row of bootstraps) {
    const [after, through] = [Number(row['after_seq']), Number(row['through_seq'])]
    taken += through - after
    for (let seq = after + 1; seq <= through; seq += 1) times[seq] = (times[seq] ?? 0) + 1
    if (row['cause'] === 'GAP' && !truth.lost.has(after + 1)) {
      breaches.push(`a bootstrap after event ${after}, though ${after + 1} was never missing`)
    }
  }
  for (let seq = 1; seq <= count; seq += 1) {
    if (times[seq] !== 1) breaches.push(`event ${seq} is in the table ${times[seq]} times`)
  }
  breaches.push(...checkJobs(db, truth.sent))
  const causes = (cause: string) => bootstraps.filter((row) => row['cause'] === cause).length
  const facts = {
    byStream: events.length,
    byBootstrap: taken,
    streamPercent: Number(((100 * events.length) / count).toFixed(1)),
    bootstrapsForGaps: causes('GAP'),
    bootstrapsOutOfRange: causes('OUT_OF_RANGE'),
  }
  return { breaches: breaches.slice(0, 20), facts }
}

/** The rows that a reader sees must be the fold of all events. */
function checkJobs(db: DatabaseSync, sent: ReadonlyMap<number, Sent>): string[] {
  const jobs = new Map<string, string>()
  for (let seq = 1; seq <= sent.size; seq += 1) {
    const event = sent.get(seq)
    if (event === undefined) return [`event ${seq} was never published`]
    const { state, generation, atMs } = JobStateChanged.decode(event.payload)
    jobs.set(event.key, `${state} ${generation} ${atMs}`)
  }
  const rows = db.prepare('select job_id, state, generation, at_ms from job').all()
  const wrong = rows.filter((row) => {
    const is = `${row['state']} ${row['generation']} ${row['at_ms']}`
    return jobs.get(String(row['job_id'])) !== is
  })
  const breaches = wrong.map((row) => `job ${row['job_id']} is not as it was published last`)
  if (rows.length !== jobs.size) breaches.push(`${rows.length} jobs instead of ${jobs.size}`)
  return breaches
}
