import type { Message } from '@serverless-ai/kernel'
import type { RuntimeInside } from './runtime.ts'
import type { RuntimeStatus } from './types.ts'

/** What operators see. */
export function statusOf<S, C extends Message, E extends Message>(
  runtime: RuntimeInside<S, C, E>,
): RuntimeStatus {
  const { state } = runtime.tail
  const framework = state?.framework
  let oldestMs = Number.POSITIVE_INFINITY
  for (const { atMs } of framework?.effects.values() ?? []) oldestMs = Math.min(oldestMs, atMs)
  const nowMs = runtime.context.logClock.nowMs()
  return {
    service: runtime.service,
    partition: runtime.partition,
    role: runtime.role,
    leader: framework?.leader ?? '',
    epoch: state?.arbitration.epoch ?? 0,
    position: state?.effectivePosition ?? -1,
    publicSeq: framework?.publicSeq ?? 0,
    publishedSeq: runtime.session?.publisher.published.seq ?? framework?.published.seq ?? 0,
    lastSnapshot: runtime.snapshots.name,
    lastSnapshotPosition: runtime.snapshots.position,
    unsettledEffects: framework?.effects.size ?? 0,
    oldestEffectAgeMs: Number.isFinite(oldestMs) ? Math.max(0, nowMs - oldestMs) : 0,
    parkedInputs: framework?.parkedCount ?? 0,
    alarm: runtime.alarm || runtime.warning,
  }
}
