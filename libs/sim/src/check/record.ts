/**
 * Records of a service's log as they stand in it, read field by field
 * (`serverlessai.log.v1`, see proto/serverlessai/log/v1/record.proto).
 */
import { JsonSeen } from './json.ts'
import { bufferOf, Fields, WireError } from './wire.ts'

/** A claim. */
export interface ClaimRecord {
  readonly is: 'claim'
  readonly epoch: number
  /** Hex. */
  readonly claimId: string
  readonly replica: string
}

/** A private event, or a fact of the runtime. */
export class Entry {
  readonly type: string
  readonly #buffer: Buffer
  readonly #from: number
  readonly #to: number
  #json: JsonSeen | undefined

  constructor(type: string, at: { buffer: Buffer; from: number; to: number }) {
    this.type = type
    this.#buffer = at.buffer
    this.#from = at.from
    this.#to = at.to
  }

  /** Its content. */
  get json(): JsonSeen {
    this.#json ??= JsonSeen.parse(this.#buffer.toString('utf8', this.#from, this.#to))
    return this.#json
  }
}

/** A released answer. */
export interface AnswerRecord {
  readonly requestId: string
  readonly outcome: Entry
}

/** A public event as it stands in its commit. */
export interface PublicRecord {
  readonly seq: number
  readonly type: string
  readonly key: string
  readonly tenant: string
  readonly payload: Buffer
}

/** A mark of a consumed source. */
export interface MarkRecord {
  readonly source: string
  readonly seq: number
}

/** A commit. */
export interface CommitRecord {
  readonly is: 'commit'
  readonly epoch: number
  readonly sequence: number
  readonly prev: Buffer
  readonly kind: 'normal' | 'tick' | 'yield'
  readonly atMs: number
  readonly marks: readonly MarkRecord[]
  readonly answers: readonly AnswerRecord[]
  readonly events: readonly Entry[]
  readonly publics: readonly PublicRecord[]
  readonly runtime: readonly Entry[]
}

/** An administrator's void. */
export interface VoidRecord {
  readonly is: 'void'
}

export type LogRecordSeen = ClaimRecord | CommitRecord | VoidRecord

const KINDS: Readonly<Record<number, CommitRecord['kind']>> = { 1: 'normal', 2: 'tick', 3: 'yield' }

/** Record of the bytes. Throws WireError when they are none. */
export function readRecord(bytes: Uint8Array): LogRecordSeen {
  const fields = new Fields(bufferOf(bytes))
  let record: LogRecordSeen | undefined
  while (fields.next()) {
    if (fields.field === 1) record = readClaim(fields.inner())
    else if (fields.field === 2) record = readCommit(fields.inner())
    else if (fields.field === 3) record = { is: 'void' }
  }
  if (record === undefined) throw new WireError('neither claim, commit nor void')
  return record
}

function readClaim(fields: Fields): ClaimRecord {
  let epoch = 0
  let claimId = ''
  let replica = ''
  while (fields.next()) {
    if (fields.field === 1) epoch = fields.value
    else if (fields.field === 2) claimId = fields.bytes().toString('hex')
    else if (fields.field === 3) replica = fields.text()
  }
  return { is: 'claim', epoch, claimId, replica }
}

function readCommit(fields: Fields): CommitRecord {
  let epoch = 0
  let sequence = 0
  let prev = fields.buffer.subarray(0, 0)
  let kind: CommitRecord['kind'] = 'normal'
  let atMs = 0
  const marks: MarkRecord[] = []
  const answers: AnswerRecord[] = []
  const events: Entry[] = []
  const publics: PublicRecord[] = []
  const runtime: Entry[] = []
  while (fields.next()) {
    switch (fields.field) {
      case 2:
        epoch = fields.value
        break
      case 3:
        sequence = fields.value
        break
      case 4:
        prev = fields.bytes()
        break
      case 5:
        kind = KINDS[fields.value] ?? 'normal'
        break
      case 6:
        atMs = fields.value
        break
      case 7:
        marks.push(readMark(fields.inner()))
        break
      case 8:
        answers.push(readAnswer(fields.inner()))
        break
      case 9:
        events.push(readEntry(fields.inner(), 3))
        break
      case 10:
        publics.push(readPublic(fields.inner()))
        break
      case 11:
        runtime.push(readEntry(fields.inner(), 2))
        break
    }
  }
  return {
    is: 'commit',
    ...{ epoch, sequence, prev, kind, atMs },
    ...{ marks, answers, events, publics, runtime },
  }
}

function readMark(fields: Fields): MarkRecord {
  let source = ''
  let seq = 0
  while (fields.next()) {
    if (fields.field === 1) source = fields.text()
    else if (fields.field === 3) seq = fields.value
  }
  return { source, seq }
}

function readAnswer(fields: Fields): AnswerRecord {
  let requestId = ''
  const at = { buffer: fields.buffer, from: 0, to: 0 }
  while (fields.next()) {
    if (fields.field === 1) requestId = fields.text()
    else if (fields.field === 3) Object.assign(at, { from: fields.from, to: fields.to })
  }
  return { requestId, outcome: new Entry('answer', at) }
}

/** `dataField`: number of the field that holds the JSON. */
function readEntry(fields: Fields, dataField: number): Entry {
  let type = ''
  const at = { buffer: fields.buffer, from: 0, to: 0 }
  while (fields.next()) {
    if (fields.field === 1) {
      type = fields.text()
    } else if (fields.field === dataField) {
      at.from = fields.from
      at.to = fields.to
    }
  }
  return new Entry(type, at)
}

function readPublic(fields: Fields): PublicRecord {
  let seq = 0
  let type = ''
  let key = ''
  let tenant = ''
  let payload = fields.buffer.subarray(0, 0)
  while (fields.next()) {
    if (fields.field === 1) seq = fields.value
    else if (fields.field === 2) type = fields.text()
    else if (fields.field === 3) key = fields.text()
    else if (fields.field === 4) tenant = fields.text()
    else if (fields.field === 5) payload = fields.bytes()
  }
  return { seq, type, key, tenant, payload }
}
