import { type Accepted, invariant, type Message } from '@serverless-ai/kernel'
import type { Draft } from './draft.ts'
import type { RuntimeFact } from './facts.ts'

/** The leader's state is ahead in a way that no commit will carry: it has to be folded again. */
export class SpoiledError extends Error {
  override readonly name = 'SpoiledError'
}

/**
 * The runtime facts of an accepted decision. Throws for an effect whose key is not settled yet.
 * `before` come first in the commit.
 */
export function preparedFacts<C extends Message, E extends Message>(
  draft: Draft<C, E>,
  decision: Accepted<E>,
  before: readonly RuntimeFact[],
): RuntimeFact[] {
  const facts: RuntimeFact[] = []
  const settled = new Set<string>()
  for (const fact of before) if (fact.type === 'EffectSettled') settled.add(fact.key)
  for (const key of decision.settles ?? []) {
    if (!draft.hasEffect(key) || settled.has(key)) continue
    settled.add(key)
    facts.push({ type: 'EffectSettled', key })
  }
  const added = new Set<string>()
  for (const { key, kind, payload } of decision.effects ?? []) {
    const open = added.has(key) || (draft.hasEffect(key) && !settled.has(key))
    invariant(!open, `effect '${key}' is asked for again before it is settled`)
    added.add(key)
    facts.push({ type: 'EffectAdded', key, kind, payload })
  }
  for (const key of decision.cancelTimers ?? []) facts.push({ type: 'TimerCleared', key })
  for (const { key, dueMs } of decision.timers ?? []) {
    invariant(Number.isFinite(dueMs), `timer '${key}' has no due time`)
    facts.push({ type: 'TimerSet', key, dueMs })
  }
  return facts
}
