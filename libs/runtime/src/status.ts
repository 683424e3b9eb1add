import type { Message } from '@serverless-ai/kernel'
import { levelInUse } from './levels.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { RuntimeStatus } from './types.ts'

/** Two processes of one name: all works, but nobody can tell which of them is meant. */
function twinOf<S, C extends Message, E extends Message>({
  role,
  state,
  context,
}: Lifecycle<S, C, E>): string {
  const { replica, address } = context.environment
  const { leader, leaderAddress } = state?.framework ?? {}
  if (role !== 'Following' || leader !== replica || leaderAddress === address) return ''
  return `a process at ${leaderAddress} leads as ${replica}, too: give each replica its own name`
}

/** What operators see. */
export function statusOf<S, C extends Message, E extends Message>(
  life: Lifecycle<S, C, E>,
): RuntimeStatus {
  const { state, session, context, snapshots } = life
  const framework = state?.framework
  let oldestMs = Number.POSITIVE_INFINITY
  for (const { atMs } of framework?.effects.values() ?? []) oldestMs = Math.min(oldestMs, atMs)
  const blocked = session?.leader.blocked?.message ?? ''
  const nowMs = context.logClock.nowMs()
  return {
    service: context.definition.name,
    partition: context.environment.partition,
    role: life.role,
    leader: framework?.leader ?? '',
    epoch: state?.arbitration.epoch ?? 0,
    position: state?.effectivePosition ?? -1,
    publicSeq: framework?.publicSeq ?? 0,
    publishedSeq: session?.publisher.published.seq ?? framework?.published.seq ?? 0,
    lastSnapshot: snapshots.name,
    lastSnapshotPosition: snapshots.position,
    unsettledEffects: framework?.effects.size ?? 0,
    oldestEffectAgeMs: Number.isFinite(oldestMs) ? Math.max(0, nowMs - oldestMs) : 0,
    parkedInputs: framework?.parkedCount ?? 0,
    mailboxItems: session?.leader.mailbox.size ?? 0,
    unpublishedEvents: framework?.unpublished.length ?? 0,
    lagRecords: life.lagRecords,
    alarm:
      life.condition.alarm ||
      blocked ||
      (session?.publisher.problem ?? '') ||
      life.condition.warning ||
      twinOf(life),
    blocked,
    featureLevel: framework === undefined ? 0 : levelInUse(framework),
    knownFeatureLevel: context.level,
  }
}
