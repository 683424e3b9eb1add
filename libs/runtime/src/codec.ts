/** Maps commits to the log envelope and back. */
import { type Commit, Commit_Kind, encodeRecord, type Record } from '@serverless-ai/eventlog'
import { InvariantError } from '@serverless-ai/kernel'
import type { CommitFacts, RuntimeFact } from './facts.ts'

const KINDS = {
  normal: Commit_Kind.NORMAL,
  tick: Commit_Kind.TICK,
  yield: Commit_Kind.YIELD,
} as const

const RUNTIME_TYPES: ReadonlySet<string> = new Set<RuntimeFact['type']>([
  'EffectAdded',
  'EffectSettled',
  'TimerSet',
  'TimerCleared',
  'PublishedThrough',
  'InputParked',
  'BootstrapPage',
  'BootstrapDone',
  'SnapshotVerified',
  'StateDigest',
  'FeatureLevelRaised',
])

/** A commit with its envelope and the very bytes that are appended. */
export interface EncodedCommit {
  readonly facts: CommitFacts
  readonly record: Record
  readonly bytes: Uint8Array
}

const buffer = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/**
 * Encodes a commit. `prev` is the chain hash it follows. The runtime facts that come back are read
 * from the text that was written, so that the writer folds exactly what every reader folds,
 * whatever happens later to the objects they were made of.
 */
export function encodeFacts(facts: CommitFacts, prev: Uint8Array): EncodedCommit {
  const runtime = facts.runtime.map(({ type, ...data }) => ({ type, data: JSON.stringify(data) }))
  const value: Commit = {
    commitId: buffer(facts.commitId),
    epoch: BigInt(facts.epoch),
    sequence: BigInt(facts.sequence),
    prev: buffer(prev),
    kind: KINDS[facts.kind],
    atMs: BigInt(facts.atMs),
    inputs: facts.inputs.map((mark) => ({
      ...mark,
      seq: BigInt(mark.seq),
      offset: BigInt(mark.offset),
    })),
    answers: facts.answers.map((answer) => ({ ...answer, bodyHash: buffer(answer.bodyHash) })),
    events: facts.events,
    publics: facts.publics.map((event) => ({
      ...event,
      seq: BigInt(event.seq),
      payload: buffer(event.payload),
    })),
    runtime,
  }
  const record: Record = { body: { $case: 'commit', value } }
  const written = runtime.map(({ type, data }) => runtimeFact(type, data))
  return { facts: { ...facts, runtime: written }, record, bytes: encodeRecord(record) }
}

function runtimeFact(type: string, data: string): RuntimeFact {
  if (!RUNTIME_TYPES.has(type)) {
    throw new InvariantError(`a newer version wrote '${type}' into this log: start that version`)
  }
  return { type, ...JSON.parse(data) } as RuntimeFact
}

/** Content of a commit that was read. Throws for a fact that this version does not know. */
export function decodeFacts(commit: Commit): CommitFacts {
  const kind = commit.kind
  return {
    kind: kind === Commit_Kind.TICK ? 'tick' : kind === Commit_Kind.YIELD ? 'yield' : 'normal',
    commitId: commit.commitId,
    epoch: Number(commit.epoch),
    sequence: Number(commit.sequence),
    atMs: Number(commit.atMs),
    inputs: commit.inputs.map(({ source, partition, seq, offset }) => ({
      source,
      partition,
      seq: Number(seq),
      offset: Number(offset),
    })),
    answers: commit.answers,
    events: commit.events,
    publics: commit.publics.map(({ seq, type, key, tenant, payload }) => ({
      seq: Number(seq),
      type,
      key,
      tenant,
      payload,
    })),
    runtime: commit.runtime.map(({ type, data }) => runtimeFact(type, data)),
  }
}
