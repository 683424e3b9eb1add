/**
 * The logs of the services, arbitrated once more: log-protocol.md section 1 written down a second
 * time, from the bytes. Whatever lands is judged at once, because the order of landing is the
 * order of the log.
 */
import { createHash, hash } from 'node:crypto'
import type { Landed } from '../world/types.ts'
import { ownerOfLog, placeText } from './names.ts'
import type { ClaimRecord, CommitRecord } from './record.ts'
import { readRecord } from './record.ts'
import type { ClaimSeen, CommitSeen, Place } from './seen.ts'
import type { TellAlarm } from './watcher.ts'
import { bufferOf } from './wire.ts'

/** Records of an epoch's numbers that are kept to compare copies with. */
const COPIES_KEPT = 2_048
/** Numbers of an epoch stay below this. */
const EPOCH_SPAN = 2 ** 32

/** A record under its number. */
interface Copy {
  /** `epoch × EPOCH_SPAN + sequence`. */
  readonly number: number
  readonly bytes: Buffer
  readonly position: number
}

/** Arbitration of one service's log. */
interface LogState {
  readonly service: string
  end: number
  epoch: number
  open: boolean
  nextSequence: number
  chain: Buffer
  atMs: number
  publicSeq: number
  readonly marks: Map<string, number>
  readonly claimIds: Set<string>
  /** First record of each number, whatever became of it; a ring by number. */
  readonly copies: Copy[]
}

/** Whom effective records go to. */
export interface EffectiveSink {
  claimed(claim: ClaimSeen): void
  committed(commit: CommitSeen): void
}

/** `serverlessai.log.scheduler.v1` → `scheduler`. */
function emptyLog(service: string): LogState {
  return {
    ...{ service, end: 0, epoch: 0, open: false, nextSequence: 0 },
    ...{ chain: Buffer.alloc(CHAIN_BYTES), atMs: 0, publicSeq: 0 },
    marks: new Map(),
    claimIds: new Set(),
    copies: [],
  }
}

/** Judges the records of all logs of the cell. */
export class EffectiveLogs {
  readonly #alarm: TellAlarm
  readonly #sink: EffectiveSink
  readonly #logs = new Map<string, LogState | undefined>()

  constructor(alarm: TellAlarm, sink: EffectiveSink) {
    this.#alarm = alarm
    this.#sink = sink
  }

  /** Takes a record; false = it belongs to another kind of topic. */
  landed(record: Landed): boolean {
    const log = this.#log(record.topic)
    if (log === undefined) return false
    this.#take(log, record)
    return true
  }

  /** Log of a topic; undefined when it is none. */
  #log(topic: string): LogState | undefined {
    if (this.#logs.has(topic)) return this.#logs.get(topic)
    const service = ownerOfLog(topic)
    const log = service === undefined ? undefined : emptyLog(service)
    this.#logs.set(topic, log)
    return log
  }

  #take(log: LogState, record: Landed): void {
    const { position } = record
    const place = { service: log.service, position, landedMs: record.atMs }
    const bytes = bufferOf(record.value)
    const tell = (text: string): void => this.#alarm(log.service, `${placeText(place)}: ${text}`)
    if (position !== log.end) tell(`positions are dense, and ${log.end} is the next one`)
    log.end = position + 1
    let read: ReturnType<typeof readRecord>
    try {
      read = readRecord(bytes)
    } catch (error) {
      tell(`is no record: ${error instanceof Error ? error.message : String(error)}`)
      return
    }
    if (read.is === 'void') return
    if (read.is === 'claim') {
      if (!takeClaim(log, read, tell)) return
      log.chain = link(log.chain, bytes)
      this.#sink.claimed({ ...place, claim: read })
      return
    }
    compareCopies(log, read, { bytes, position }, tell)
    if (!takeCommit(log, read, tell)) return
    log.chain = link(log.chain, bytes)
    checkContent(log, read, tell)
    this.#sink.committed(new Seen(log, read, place))
    for (const { source, seq } of read.marks) log.marks.set(source, seq)
    log.atMs = Math.max(log.atMs, read.atMs)
    log.publicSeq = read.publics.at(-1)?.seq ?? log.publicSeq
  }
}

type Tell = (text: string) => void

const ONE_CALL_MAX_BYTES = 64 * 1024
const CHAIN_BYTES = 32
const joined = Buffer.alloc(CHAIN_BYTES + ONE_CALL_MAX_BYTES)

function link(chain: Buffer, bytes: Buffer): Buffer {
  if (bytes.length > ONE_CALL_MAX_BYTES) {
    return createHash('sha256').update(chain).update(bytes).digest()
  }
  // One call of the hash on joined bytes is the quickest way, and they are many.
  chain.copy(joined, 0)
  bytes.copy(joined, chain.length)
  const text = hash('sha256', joined.subarray(0, chain.length + bytes.length), 'binary')
  return Buffer.from(text, 'binary')
}

/** True when the claim counts. */
function takeClaim(log: LogState, claim: ClaimRecord, tell: Tell): boolean {
  if (claim.epoch <= log.epoch) return false
  if (claim.epoch > log.epoch + 1) {
    tell(`cannot occur: ${claim.replica} claims epoch ${claim.epoch}, the next is ${log.epoch + 1}`)
    return false
  }
  if (log.claimIds.has(claim.claimId)) {
    tell(`claim ids are random and forgotten, and ${claim.claimId} opens a second epoch`)
  }
  log.claimIds.add(claim.claimId)
  log.epoch = claim.epoch
  log.open = true
  log.nextSequence = 0
  return true
}

/** True when the commit counts. */
function takeCommit(log: LogState, commit: CommitRecord, tell: Tell): boolean {
  const { epoch, sequence } = commit
  const number = `commit ${epoch}/${sequence}`
  if (epoch > log.epoch) {
    tell(`cannot occur: ${number} while only epoch ${log.epoch} was claimed`)
    return false
  }
  if (epoch < log.epoch || !log.open || sequence < log.nextSequence) return false
  if (sequence > log.nextSequence) {
    tell(`cannot occur: ${number} while ${epoch}/${log.nextSequence} never landed`)
    return false
  }
  if (!commit.prev.equals(log.chain)) {
    const [said, is] = [commit.prev, log.chain].map((chain) => chain.toString('hex', 0, 4))
    tell(`cannot occur: ${number} follows chain ${said}…, the chain is ${is}…`)
    return false
  }
  log.nextSequence += 1
  log.open = commit.kind !== 'yield'
  return true
}

/** A number of an epoch stands for one content, however often it was sent. */
function compareCopies(
  log: LogState,
  { epoch, sequence }: CommitRecord,
  copy: { readonly bytes: Buffer; readonly position: number },
  tell: Tell,
): void {
  const number = epoch * EPOCH_SPAN + sequence
  const slot = (epoch * 31 + sequence) % COPIES_KEPT
  const first = log.copies[slot]
  if (first === undefined || first.number < number) {
    log.copies[slot] = { number, ...copy }
  } else if (first.number === number && !first.bytes.equals(copy.bytes)) {
    tell(
      `commit ${epoch}/${sequence} has other content than at position ${first.position}: ` +
        'a number is never used again for something else',
    )
  }
}

function checkContent(log: LogState, commit: CommitRecord, tell: Tell): void {
  const { epoch, sequence, kind, events, publics, atMs } = commit
  const number = `commit ${epoch}/${sequence}`
  if (kind === 'tick' && events.length + publics.length > 0) tell(`${number} is a tick with events`)
  if (atMs < log.atMs) tell(`log time went back from ${log.atMs} to ${atMs}`)
  let last = log.publicSeq
  for (const { seq, type } of publics) {
    if (seq !== last + 1) tell(`public seq is dense: ${type} has ${seq} after ${last}`)
    last = seq
  }
}

/** A commit with the marks around it, as they are while it is told. */
class Seen implements CommitSeen {
  readonly service: string
  readonly position: number
  readonly landedMs: number
  readonly commit: CommitRecord
  readonly #marks: ReadonlyMap<string, number>

  constructor(log: LogState, commit: CommitRecord, place: Place) {
    this.service = place.service
    this.position = place.position
    this.landedMs = place.landedMs
    this.commit = commit
    this.#marks = log.marks
  }

  markBefore(source: string): number {
    return this.#marks.get(source) ?? 0
  }

  markAfter(source: string): number {
    const mark = this.commit.marks.findLast((one) => one.source === source)
    return mark?.seq ?? this.markBefore(source)
  }
}
