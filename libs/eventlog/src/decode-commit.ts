/**
 * A decoder for what a log consists of: commits. It reads what the generated one reads, in a
 * fraction of the time that a replay spends on it. Whatever it does not expect (other records,
 * unknown fields, damage) is left to the generated one, so that there is one meaning of the bytes.
 */
import type { Commit, Commit_Kind, Record } from '@serverless-ai/contracts/log/v1/record'

/** Not what this decoder is for. */
class Unexpected extends Error {}

/** Tags: field number × 8 + wire type (0 = varint, 2 = length and bytes). */
const tagOf = (field: number, wire: 0 | 2): number => field * 8 + wire
const COMMIT = tagOf(2, 2)
const NOTHING: Buffer = Buffer.alloc(0)
/** Values of a field that is not written, as protobuf defines them. */
const ZERO = 0n

/** Longest text that is looked for among those read before, bytes. */
const NAME_MAX_BYTES = 32
/** Places for texts that were read before, a power of two. */
const NAMES = 1024
/** Texts that were read before: one per place, whichever came last. */
const names: string[] = Array.from({ length: NAMES }, () => '')

class Reader {
  readonly #bytes: Buffer
  at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Up to 2^53 - 1. */
  varint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.#bytes[this.at]
      if (byte === undefined || scale > 2 ** 49) throw new Unexpected()
      this.at += 1
      value += (byte & 0x7f) * scale
      if (byte < 0x80) break
      scale *= 0x80
    }
    if (value > Number.MAX_SAFE_INTEGER) throw new Unexpected()
    return value
  }

  uint32(): number {
    const value = this.varint()
    if (value > 0xffff_ffff) throw new Unexpected()
    return value
  }

  bigint(): bigint {
    return BigInt(this.varint())
  }

  /** End of the piece that begins here; it must lie inside `within`. */
  piece(within: number): number {
    const length = this.uint32()
    const end = this.at + length
    if (end > within) throw new Unexpected()
    return end
  }

  text(within: number): string {
    return this.#textTo(this.piece(within))
  }

  #textTo(end: number): string {
    const text = this.#bytes.toString('utf8', this.at, end)
    this.at = end
    return text
  }

  /** As `text`, for those that come again and again: types, tenants, sources. */
  name(within: number): string {
    const end = this.piece(within)
    if (end - this.at > NAME_MAX_BYTES) return this.#textTo(end)
    let hash = end - this.at
    for (let i = this.at; i < end; i += 1) hash = (Math.imul(hash, 31) + this.#bytes[i]!) | 0
    const place = (hash ^ (hash >>> 10)) & (NAMES - 1)
    const known = names[place]!
    if (this.#isHere(known, end)) {
      this.at = end
      return known
    }
    const text = this.#textTo(end)
    names[place] = text
    return text
  }

  /** True when the bytes from here to `end` are this text, and ASCII. */
  #isHere(text: string, end: number): boolean {
    const { at } = this
    if (text.length !== end - at) return false
    for (let i = 0; i < text.length; i += 1) {
      const byte = this.#bytes[at + i]!
      if (byte > 0x7f || byte !== text.charCodeAt(i)) return false
    }
    return true
  }

  /** A view of the record: what is kept for long has to be copied. */
  view(within: number): Buffer {
    const end = this.piece(within)
    const view = this.#bytes.subarray(this.at, end)
    this.at = end
    return view
  }

  /** Ends a message that has to be over at `end`. */
  over(end: number): void {
    if (this.at !== end) throw new Unexpected()
  }
}

function readMark(reader: Reader, end: number): Commit['inputs'][number] {
  const mark = { source: '', partition: 0, seq: ZERO, offset: ZERO }
  while (reader.at < end) {
    const tag = reader.uint32()
    if (tag === tagOf(1, 2)) mark.source = reader.name(end)
    else if (tag === tagOf(2, 0)) mark.partition = reader.uint32()
    else if (tag === tagOf(3, 0)) mark.seq = reader.bigint()
    else if (tag === tagOf(4, 0)) mark.offset = reader.bigint()
    else throw new Unexpected()
  }
  reader.over(end)
  return mark
}

function readAnswer(reader: Reader, end: number): Commit['answers'][number] {
  const answer = { requestId: '', bodyHash: NOTHING, outcome: '' }
  while (reader.at < end) {
    const tag = reader.uint32()
    if (tag === tagOf(1, 2)) answer.requestId = reader.text(end)
    // A copy: answers are kept for a day, their records are not.
    else if (tag === tagOf(2, 2)) answer.bodyHash = Buffer.from(reader.view(end))
    else if (tag === tagOf(3, 2)) answer.outcome = reader.text(end)
    else throw new Unexpected()
  }
  reader.over(end)
  return answer
}

function readEvent(reader: Reader, end: number): Commit['events'][number] {
  const event = { type: '', version: 0, data: '' }
  while (reader.at < end) {
    const tag = reader.uint32()
    if (tag === tagOf(1, 2)) event.type = reader.name(end)
    else if (tag === tagOf(2, 0)) event.version = reader.uint32()
    else if (tag === tagOf(3, 2)) event.data = reader.text(end)
    else throw new Unexpected()
  }
  reader.over(end)
  return event
}

function readPublic(reader: Reader, end: number): Commit['publics'][number] {
  const event = { seq: ZERO, type: '', key: '', tenant: '', payload: NOTHING }
  while (reader.at < end) {
    const tag = reader.uint32()
    if (tag === tagOf(1, 0)) event.seq = reader.bigint()
    else if (tag === tagOf(2, 2)) event.type = reader.name(end)
    else if (tag === tagOf(3, 2)) event.key = reader.text(end)
    else if (tag === tagOf(4, 2)) event.tenant = reader.name(end)
    else if (tag === tagOf(5, 2)) event.payload = reader.view(end)
    else throw new Unexpected()
  }
  reader.over(end)
  return event
}

function readFact(reader: Reader, end: number): Commit['runtime'][number] {
  const fact = { type: '', data: '' }
  while (reader.at < end) {
    const tag = reader.uint32()
    if (tag === tagOf(1, 2)) fact.type = reader.name(end)
    else if (tag === tagOf(2, 2)) fact.data = reader.text(end)
    else throw new Unexpected()
  }
  reader.over(end)
  return fact
}

function readCommit(reader: Reader, end: number): Commit {
  let [commitId, prev] = [NOTHING, NOTHING]
  let [epoch, sequence, atMs] = [ZERO, ZERO, ZERO]
  let kind: Commit_Kind = 0
  const inputs: Commit['inputs'][number][] = []
  const answers: Commit['answers'][number][] = []
  const events: Commit['events'][number][] = []
  const publics: Commit['publics'][number][] = []
  const runtime: Commit['runtime'][number][] = []
  while (reader.at < end) {
    const tag = reader.uint32()
    if (tag === tagOf(9, 2)) events.push(readEvent(reader, reader.piece(end)))
    else if (tag === tagOf(10, 2)) publics.push(readPublic(reader, reader.piece(end)))
    else if (tag === tagOf(11, 2)) runtime.push(readFact(reader, reader.piece(end)))
    else if (tag === tagOf(8, 2)) answers.push(readAnswer(reader, reader.piece(end)))
    else if (tag === tagOf(7, 2)) inputs.push(readMark(reader, reader.piece(end)))
    else if (tag === tagOf(1, 2)) commitId = Buffer.from(reader.view(end))
    else if (tag === tagOf(2, 0)) epoch = reader.bigint()
    else if (tag === tagOf(3, 0)) sequence = reader.bigint()
    else if (tag === tagOf(4, 2)) prev = reader.view(end)
    else if (tag === tagOf(5, 0)) kind = kindOf(reader.uint32())
    else if (tag === tagOf(6, 0)) atMs = reader.bigint()
    else throw new Unexpected()
  }
  reader.over(end)
  const head = { commitId, epoch, sequence, prev, kind, atMs }
  return { ...head, inputs, answers, events, publics, runtime }
}

function kindOf(value: number): Commit_Kind {
  if (value !== 0 && value !== 1 && value !== 2 && value !== 3) throw new Unexpected()
  return value
}

/** The commit that the bytes are; undefined = ask the generated decoder. */
export function decodeCommit(bytes: Uint8Array): Record | undefined {
  const reader = new Reader(bytes)
  try {
    if (reader.uint32() !== COMMIT) return undefined
    const end = reader.piece(bytes.byteLength)
    if (end !== bytes.byteLength) return undefined
    return { body: { $case: 'commit', value: readCommit(reader, end) } }
  } catch (error) {
    if (error instanceof Unexpected) return undefined
    throw error
  }
}
