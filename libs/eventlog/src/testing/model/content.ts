import {
  Commit_Kind,
  decodeRecord,
  encodeClaim,
  encodeCommit,
  encodeVoid,
  type Record,
  sha256,
} from '../../record.ts'

/** A client's command: switch a key on, or off. Refused when it is so already. */
export interface Request {
  readonly id: number
  readonly idTime: number
  readonly key: number
  readonly on: boolean
}

/** What became of a request. `old` and `future`: its id is outside the window; not kept. */
export type Result = 'ok' | 'no' | 'old' | 'future'

/**
 * How far public events were published: seq, and the private record that held it with its place in
 * the epoch.
 */
export interface PublishedMark {
  readonly seq: number
  readonly position: number
  readonly epoch: number
  readonly nextSequence: number
}

/** An answer inside a commit. */
export interface AnswerContent {
  readonly request: number
  readonly idTime: number
  readonly result: Result
}

/** A key that was switched, the public event and the effect that come with it. */
export interface Switched {
  readonly request: number
  readonly key: number
  readonly on: boolean
}

/** Everything in a commit but its place. */
export interface Body {
  readonly kind: 'normal' | 'tick' | 'yield'
  readonly at: number
  readonly answers: readonly AnswerContent[]
  readonly events: readonly Switched[]
  /** Public seq of each event. */
  readonly seqs: readonly number[]
  readonly settled: readonly number[]
  readonly published: PublishedMark | undefined
  /** Snapshots that were checked: position of the first record not in it. */
  readonly verified: readonly number[]
}

export type Content =
  | {
      readonly is: 'claim'
      readonly epoch: number
      readonly claimId: number
      readonly name: string
    }
  | {
      readonly is: 'commit'
      readonly epoch: number
      readonly sequence: number
      readonly commitId: number
      readonly body: Body
    }
  | { readonly is: 'void'; readonly position: number }

/** A record as it is sent: bytes for the product, content and predecessor for the reference. */
export interface Item {
  readonly serial: number
  readonly bytes: Uint8Array
  /** What the product decodes from the bytes. */
  readonly record: Record
  /** What a reader makes of the decoded record. */
  readonly read: Content
  /** What the writer meant. */
  readonly meant: Content
  /** Serial of the effective record that the writer built on; -1 for claims and voids. */
  readonly after: number
}

const KINDS = {
  normal: Commit_Kind.NORMAL,
  tick: Commit_Kind.TICK,
  yield: Commit_Kind.YIELD,
} as const

const idBytes = (id: number): Buffer => {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt32LE(id)
  return bytes
}

const numbers = (values: readonly number[]): string => values.join(',')
const parse = (text: string): number[] => text.split(',').map(Number)

function runtimeFacts(body: Body): { type: string; data: string }[] {
  const facts: { type: string; data: string }[] = []
  for (const request of body.settled) facts.push({ type: 'EffectSettled', data: `${request}` })
  for (const next of body.verified) facts.push({ type: 'SnapshotVerified', data: `${next}` })
  if (body.published !== undefined) {
    const { seq, position, epoch, nextSequence } = body.published
    const data = numbers([seq, position, epoch, nextSequence])
    facts.push({ type: 'PublishedThrough', data })
  }
  return facts
}

function encode(content: Content, prev: Uint8Array, bytesOfVoid: Uint8Array): Uint8Array {
  if (content.is === 'claim') {
    const { epoch, claimId, name } = content
    // The chain travels in the address: only the broken rule "claims carry a prev" reads it.
    const address = Buffer.from(prev).toString('latin1')
    const claim = { epoch: BigInt(epoch), claimId: idBytes(claimId), replica: name, address }
    return encodeClaim({ ...claim, atMs: 0n })
  }
  if (content.is === 'void') {
    const recordHash = Buffer.from(sha256(bytesOfVoid))
    return encodeVoid({ position: BigInt(content.position), recordHash })
  }
  const { epoch, sequence, commitId, body } = content
  return encodeCommit({
    commitId: idBytes(commitId),
    epoch: BigInt(epoch),
    sequence: BigInt(sequence),
    prev: Buffer.from(prev),
    kind: KINDS[body.kind],
    atMs: BigInt(body.at),
    inputs: [],
    answers: body.answers.map(({ request, idTime, result }) => ({
      requestId: numbers([request, idTime]),
      bodyHash: Buffer.alloc(0),
      outcome: result,
    })),
    events: body.events.map(({ request, key, on }) => ({
      type: on ? 'On' : 'Off',
      version: 1,
      data: numbers([request, key]),
    })),
    publics: body.seqs.map((seq, index) => ({
      seq: BigInt(seq),
      type: 'Switched',
      key: '',
      tenant: '',
      payload: Buffer.from(`${body.events[index]!.request}`),
    })),
    runtime: runtimeFacts(body),
  })
}

function readBody(record: Extract<Record['body'], { $case: 'commit' }>['value']): Body {
  const { kind, atMs, answers, events, publics, runtime } = record
  const facts = (type: string): string[] =>
    runtime.filter((fact) => fact.type === type).map((fact) => fact.data)
  const [mark] = facts('PublishedThrough')
  const [seq = 0, position = 0, epoch = 0, nextSequence = 0] = mark === undefined ? [] : parse(mark)
  return {
    kind: kind === Commit_Kind.YIELD ? 'yield' : kind === Commit_Kind.TICK ? 'tick' : 'normal',
    at: Number(atMs),
    answers: answers.map(({ requestId, outcome }) => {
      const [request = 0, idTime = 0] = parse(requestId)
      const result = outcome === 'ok' || outcome === 'no' || outcome === 'old' ? outcome : 'future'
      return { request, idTime, result }
    }),
    events: events.map(({ type, data }) => {
      const [request = 0, key = 0] = parse(data)
      return { request, key, on: type === 'On' }
    }),
    seqs: publics.map((each) => Number(each.seq)),
    settled: facts('EffectSettled').map(Number),
    verified: facts('SnapshotVerified').map(Number),
    published: mark === undefined ? undefined : { seq, position, epoch, nextSequence },
  }
}

function read(record: Record): Content {
  const body = record.body
  if (body?.$case === 'claim') {
    const { epoch, claimId, replica } = body.value
    return { is: 'claim', epoch: Number(epoch), claimId: claimId.readUInt32LE(), name: replica }
  }
  if (body?.$case === 'commit') {
    const { epoch, sequence, commitId } = body.value
    const place = { epoch: Number(epoch), sequence: Number(sequence) }
    return { is: 'commit', ...place, commitId: commitId.readUInt32LE(), body: readBody(body.value) }
  }
  return { is: 'void', position: body?.$case === 'void' ? Number(body.value.position) : -1 }
}

/** A record ready to be sent. */
export function makeItem(init: {
  serial: number
  content: Content
  /** Chain hash that the writer builds on. */
  prev: Uint8Array
  after: number
  /** Bytes of the voided record. */
  voided?: Uint8Array
}): Item {
  const bytes = encode(init.content, init.prev, init.voided ?? new Uint8Array(0))
  const record = decodeRecord(bytes)
  const { serial, content, after } = init
  return { serial, bytes, record, read: read(record), meant: content, after }
}
