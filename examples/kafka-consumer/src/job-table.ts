// The consumer's own table: all jobs of a cell, beside the mark and a list of what was seen. Every
// method is one transaction, so that the mark and what it stands for never part.
import { DatabaseSync } from 'node:sqlite'
import {
  type BootstrapCause,
  decodeEvent,
  type EventTable,
  type Mark,
  type PublicEvent,
} from '@serverless-ai/client/events'

const JOB_COLUMNS = `
  job_id text not null,
  name text not null,
  tenant text not null,
  queue text not null,
  state text not null,
  generation integer not null,
  at_ms integer not null`

const SCHEMA = `
  -- How far we are: the last event, and where it lies in the topic. One row at most.
  create table if not exists mark (
    one integer primary key check (one = 1), seq integer not null, at_offset integer not null
  ) strict;
  create table if not exists job (${JOB_COLUMNS}, primary key (job_id)) strict;
  -- Each event that was applied; a second time would break the primary key.
  create table if not exists event (
    seq integer primary key, type text not null, key text not null, at_ms integer not null
  ) strict;
  -- Where the present state was taken over instead of events, and why.
  create table if not exists bootstrap (
    id text primary key, after_seq integer not null, through_seq integer not null,
    cause text not null
  ) strict;
  -- Pages of a bootstrap that is under way; readers do not look here.
  create table if not exists job_aside (
    bootstrap_id text not null, ${JOB_COLUMNS}, primary key (bootstrap_id, job_id)
  ) strict;`

const COLUMNS = 'job_id, name, tenant, queue, state, generation, at_ms'
const VALUES = ':jobId, :name, :tenant, :queue, :state, :generation, :atMs'

/** Opens or makes the table. */
export class JobTable implements EventTable, Disposable {
  readonly #db: DatabaseSync
  /** Called with each event after its transaction. */
  readonly #onApplied: (event: PublicEvent) => void

  constructor(file: string, onApplied: (event: PublicEvent) => void = () => undefined) {
    this.#onApplied = onApplied
    this.#db = new DatabaseSync(file, { timeout: 5_000 })
    this.#db.exec('pragma journal_mode = wal; pragma synchronous = full')
    this.#db.exec(SCHEMA)
  }

  [Symbol.dispose](): void {
    this.#db.close()
  }

  load(): Mark | undefined {
    const row = this.#db.prepare('select seq, at_offset from mark').get()
    return row && { seq: Number(row['seq']), offset: Number(row['at_offset']) }
  }

  apply(step: { after: Mark | undefined; events: readonly PublicEvent[]; mark: Mark }): void {
    this.#transaction(() => {
      this.#checkMark(step.after)
      const seen = this.#db.prepare(
        'insert into event (seq, type, key, at_ms) values (:seq, :type, :key, :atMs)',
      )
      for (const { seq, type, key, atMs, payload } of step.events) {
        seen.run({ seq, type, key, atMs })
        this.#putJob('job', '', { type, payload })
      }
      this.#setMark(step.mark)
    })
    step.events.forEach(this.#onApplied)
  }

  stage(step: { bootstrapId: string; page: number; events: readonly PublicEvent[] }): void {
    this.#transaction(() => {
      if (step.page === 0) this.#db.exec('delete from job_aside')
      for (const event of step.events) this.#putJob('job_aside', step.bootstrapId, event)
    })
  }

  swap(step: {
    bootstrapId: string
    after: Mark | undefined
    mark: Mark
    cause: BootstrapCause
  }): void {
    const { bootstrapId, after, mark, cause } = step
    this.#transaction(() => {
      this.#checkMark(after)
      this.#db.exec('delete from job')
      this.#db
        .prepare(`insert into job select ${COLUMNS} from job_aside where bootstrap_id = ?`)
        .run(bootstrapId)
      this.#db.exec('delete from job_aside')
      this.#db
        .prepare('insert into bootstrap (id, after_seq, through_seq, cause) values (?, ?, ?, ?)')
        .run(bootstrapId, after?.seq ?? 0, mark.seq, cause.kind)
      this.#setMark(mark)
    })
  }

  #putJob(
    table: 'job' | 'job_aside',
    bootstrapId: string,
    event: Pick<PublicEvent, 'type' | 'payload'>,
  ): void {
    const decoded = decodeEvent(event)
    // Types of no interest, and those that a later release may bring, only move the mark.
    if (decoded?.name !== 'JobStateChanged') return
    const { jobId, name, tenant, queue, state, generation, atMs } = decoded.value
    const row = { jobId, name, tenant, queue, state, generation, atMs }
    if (table === 'job') {
      this.#db.prepare(`insert or replace into job (${COLUMNS}) values (${VALUES})`).run(row)
    } else {
      this.#db
        .prepare(
          `insert or replace into job_aside (bootstrap_id, ${COLUMNS})
           values (:bootstrapId, ${VALUES})`,
        )
        .run({ bootstrapId, ...row })
    }
  }

  /** A second consumer on the same file would otherwise apply events twice. */
  #checkMark(after: Mark | undefined): void {
    if (this.load()?.seq !== after?.seq) throw new Error('another consumer has moved the mark')
  }

  #setMark({ seq, offset }: Mark): void {
    this.#db
      .prepare('insert or replace into mark (one, seq, at_offset) values (1, ?, ?)')
      .run(seq, offset)
  }

  #transaction(work: () => void): void {
    this.#db.exec('begin immediate')
    try {
      work()
      this.#db.exec('commit')
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('rollback')
      throw error
    }
  }
}
