/**
 * What has to hold of any history, whatever went wrong while it was made. Checked on the log
 * itself, by a reader of its own.
 */
import { eventsTopic, logTopic } from '@serverless-ai/eventlog'
import { invariant } from '@serverless-ai/kernel'
import { Partition } from '../partition.ts'
import type { Answer } from '../types.ts'
import type { BankCommand, BankEvent, BankState } from './bank.ts'
import type { BankDefinition, World } from './world.ts'

/** A read that some process served. */
export interface SeenRead {
  readonly position: number
  readonly events: number
}

/** What outside observers wrote down. */
export interface Observed {
  /** First answer by request id. */
  readonly answers: ReadonlyMap<string, Answer>
  readonly reads: readonly SeenRead[]
}

/** The log folded record by record. */
export interface Story {
  readonly state: Partition<BankState, BankCommand, BankEvent>
  /** Number of domain events after each effective position. */
  readonly eventsAt: ReadonlyMap<number, number>
  /** `type key` of public events in order of seq. */
  readonly publics: readonly string[]
  readonly leaders: readonly string[]
}

/** Folds the whole private log. */
export function storyOf(world: World, definition: BankDefinition): Story {
  const state = new Partition(definition, 0)
  const eventsAt = new Map<number, number>([[-1, 0]])
  const publics: string[] = []
  const leaders: string[] = []
  const { records } = world.store.partition({ topic: logTopic(definition.name), partition: 0 })
  for (const record of records) {
    const applied = state.apply(record)
    invariant(applied.kind !== 'damaged', `the log is damaged at ${record.position}`)
    if (applied.kind === 'claim') leaders.push(applied.claim.replica)
    eventsAt.set(state.effectivePosition, state.core.events)
    if (applied.kind !== 'commit') continue
    for (const { type, key } of applied.facts.publics) publics.push(`${type} ${key}`)
  }
  return { state, eventsAt, publics, leaders }
}

/**
 * A consumer with a mark, from the start of the events topic: it must see each public event once,
 * in order. Returns what it took.
 */
export function consume(world: World, service: string): string[] {
  const taken: string[] = []
  const address = { topic: eventsTopic(service), partition: 0 }
  for (const { headers, key } of world.everything(address)) {
    const seq = Number(headers['ce_id']?.split('/')[2])
    invariant(seq <= taken.length + 1, `gap in the public events: ${seq} after ${taken.length}`)
    if (seq === taken.length + 1) taken.push(`${headers['ce_type']} ${key}`)
  }
  return taken
}

/** Promises P1 to P5 on a finished history. Throws with what is broken. */
export function checkHistory(world: World, definition: BankDefinition, observed: Observed): Story {
  const story = storyOf(world, definition)
  for (const [requestId, answer] of observed.answers) {
    const kept = story.state.framework.answers.get(requestId)
    invariant(kept !== undefined, `P1: the answer of ${requestId} is not in the log`)
    const token = story.state.tokenAt(kept.position, kept.publicSeq)
    invariant(token === answer.position, `P3: ${answer.position} was told, ${token} is effective`)
  }
  for (const { position, events } of observed.reads) {
    const effective = story.eventsAt.get(position)
    invariant(effective === events, `P4: a read at ${position} saw ${events}, not ${effective}`)
  }
  const taken = consume(world, definition.name)
  invariant(
    taken.every((one, index) => one === story.publics[index]),
    'P5: what was published is not what was committed',
  )
  return story
}
