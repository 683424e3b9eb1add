/** Logs written by hand, with the real encoders: what lands is told to the checkers at once. */
import { hash } from 'node:crypto'
import {
  type Commit,
  Commit_Kind,
  encodeClaim,
  encodeCommit,
  eventsTopic,
  logTopic,
} from '@serverless-ai/eventlog'
import { createCheckers } from '../index.ts'
import type { Alarm, Observation } from '../types.ts'

/** A private event or a fact of the runtime. */
export type Fact = { readonly type: string } & Readonly<Record<string, unknown>>

/** A public event to be committed. */
export interface PublicDraft {
  readonly type: string
  readonly key: string
  readonly payload: Uint8Array
}

/** Content of a commit. */
export interface CommitDraft {
  readonly kind?: 'normal' | 'tick' | 'yield'
  readonly events?: readonly Fact[]
  readonly publics?: readonly PublicDraft[]
  readonly runtime?: readonly Fact[]
  readonly answers?: readonly { readonly requestId: string; readonly outcome: unknown }[]
  readonly marks?: Readonly<Record<string, number>>
  readonly atMs?: number
  /** What a correct writer would not do. */
  readonly change?: (commit: Commit) => Commit
}

interface Log {
  epoch: number
  sequence: number
  chain: Uint8Array
  end: number
  topicEnd: number
  publicSeq: number
  readonly unpublished: (PublicDraft & { readonly seq: number; readonly atMs: number })[]
  last: Uint8Array
}

const KINDS = { normal: Commit_Kind.NORMAL, tick: Commit_Kind.TICK, yield: Commit_Kind.YIELD }
/** Log time of the start, ms since 1970. */
const START_MS = 1_700_000_000_000

const sha256 = (...pieces: Uint8Array[]): Uint8Array =>
  hash('sha256', Buffer.concat(pieces), 'buffer')

/** Checkers and the logs they look at. */
export class Logs {
  readonly alarms: Alarm[] = []
  nowMs = 0
  readonly #checkers = createCheckers((alarm) => this.alarms.push(alarm), { appendMs: 100 })
  readonly #logs = new Map<string, Log>()
  #claims = 0

  /** Names of the checkers that have raised an alarm, each once. */
  get caught(): string[] {
    return [...new Set(this.alarms.map(({ checker }) => checker))]
  }

  /** Changes of leaders that were counted. */
  get leaderChanges(): number {
    return this.#checkers.effective.leaderChanges
  }

  observe(observation: Observation): void {
    this.#checkers.observe(observation)
  }

  log(service: string): Log {
    let log = this.#logs.get(service)
    if (log === undefined) {
      const none = { epoch: 0, sequence: 0, end: 0, topicEnd: 0, publicSeq: 0 }
      log = { ...none, chain: Buffer.alloc(32), last: Buffer.alloc(0), unpublished: [] }
      this.#logs.set(service, log)
    }
    return log
  }

  /** Bytes as the next record of a service's log. */
  land(service: string, value: Uint8Array): number {
    const log = this.log(service)
    const position = log.end
    log.end += 1
    this.nowMs += 1
    const record = { topic: logTopic(service), partition: 0, position, key: '', headers: {}, value }
    this.observe({ kind: 'landed', record: { ...record, atMs: this.nowMs } })
    return position
  }

  /** An effective claim of the next epoch (or of `epoch`). */
  claim(
    service: string,
    more: { epoch?: number; claimId?: string; replica?: string } = {},
  ): number {
    const log = this.log(service)
    this.#claims += 1
    const { epoch = log.epoch + 1, replica = `${service}-1` } = more
    const value = encodeClaim({
      epoch: BigInt(epoch),
      claimId: Buffer.from(more.claimId ?? `claim ${this.#claims}`.padEnd(16)),
      replica,
      address: `${replica}:7070`,
      atMs: BigInt(START_MS),
    })
    log.epoch = epoch
    log.sequence = 0
    log.chain = sha256(log.chain, value)
    return this.land(service, value)
  }

  /** The next effective commit of a service; claims the first epoch by itself. */
  commit(service: string, draft: CommitDraft): number {
    const log = this.log(service)
    if (log.epoch === 0) this.claim(service)
    const value = this.#encode(service, draft)
    log.last = value
    log.sequence += 1
    log.chain = sha256(log.chain, value)
    return this.land(service, value)
  }

  #encode(service: string, draft: CommitDraft): Uint8Array {
    const log = this.log(service)
    const atMs = START_MS + (draft.atMs ?? this.nowMs)
    const publics = (draft.publics ?? []).map((event) => {
      log.publicSeq += 1
      log.unpublished.push({ ...event, seq: log.publicSeq, atMs })
      const payload = Buffer.from(event.payload)
      return { ...event, payload, seq: BigInt(log.publicSeq), tenant: 'lab' }
    })
    const facts = (all: readonly Fact[] = []) =>
      all.map(({ type, ...data }) => ({ type, version: 1, data: JSON.stringify(data) }))
    const commit: Commit = {
      commitId: Buffer.from(`commit ${log.end}`.padEnd(16)),
      epoch: BigInt(log.epoch),
      sequence: BigInt(log.sequence),
      prev: Buffer.from(log.chain),
      kind: KINDS[draft.kind ?? 'normal'],
      atMs: BigInt(atMs),
      inputs: Object.entries(draft.marks ?? {}).map(([source, seq]) => {
        return { source, partition: 0, seq: BigInt(seq), offset: BigInt(seq) }
      }),
      answers: (draft.answers ?? []).map(({ requestId, outcome }) => {
        return { requestId, bodyHash: Buffer.alloc(32), outcome: JSON.stringify(outcome) }
      }),
      events: facts(draft.events),
      publics,
      runtime: facts(draft.runtime),
    }
    return encodeCommit(draft.change?.(commit) ?? commit)
  }

  /** Publishes what is waiting. */
  publish(service: string): void {
    for (const event of this.log(service).unpublished.splice(0)) this.publishOne(service, event)
  }

  publishOne(
    service: string,
    event: PublicDraft & { readonly seq: number; readonly atMs: number },
  ): void {
    const log = this.log(service)
    const headers = {
      ce_id: `${service}/0/${event.seq}`,
      ce_type: event.type,
      ce_tenant: 'lab',
      ce_time: new Date(event.atMs).toISOString(),
    }
    const position = log.topicEnd
    log.topicEnd += 1
    this.nowMs += 1
    const { key, payload: value } = event
    const record = { topic: eventsTopic(service), partition: 0, position, key, headers, value }
    this.observe({ kind: 'landed', record: { ...record, atMs: this.nowMs } })
  }
}
