import type { Message } from '@serverless-ai/kernel'
import type { RuntimeObserver, ServiceRuntime } from '@serverless-ai/runtime'
import type { Metrics } from '@serverless-ai/telemetry'

/** What the runtime of a service tells, as metrics. */
export function runtimeObserver(metrics: Metrics, service: string): RuntimeObserver {
  const of = { service }
  // What has not happened yet is 0, not absent: rates and alerts need a beginning.
  for (const name of [
    'sai_runtime_commits_total',
    'sai_runtime_commit_seconds',
    'sai_runtime_commit_items',
    'sai_runtime_commit_bytes',
    'sai_runtime_events_total',
    'sai_runtime_commands_total',
    'sai_runtime_append_repeats_total',
    'sai_runtime_leadership_changes_total',
    'sai_runtime_snapshots_total',
    'sai_runtime_snapshot_seconds',
  ] as const) {
    metrics.zero(name, of)
  }
  // Any service can have a bug; the other reasons come when they happen.
  metrics.zero('sai_runtime_refusals_total', { service, reason: 'INTERNAL' })
  if (service === 'scheduler') metrics.zero('sai_runtime_round_seconds', of)
  return {
    committed({ kind, items, events, bytes, latencyMs }) {
      metrics.add('sai_runtime_commits_total', { service, kind })
      metrics.add('sai_runtime_events_total', of, events)
      metrics.observe('sai_runtime_commit_seconds', of, latencyMs / 1_000)
      metrics.observe('sai_runtime_commit_items', of, items)
      metrics.observe('sai_runtime_commit_bytes', of, bytes)
    },
    decided(reason) {
      const outcome = reason === undefined ? 'accepted' : 'refused'
      metrics.add('sai_runtime_commands_total', { service, outcome })
      if (reason !== undefined) metrics.add('sai_runtime_refusals_total', { service, reason })
    },
    appendRepeated: () => metrics.add('sai_runtime_append_repeats_total', of),
    round: (tookMs) => metrics.observe('sai_runtime_round_seconds', of, tookMs / 1_000),
    snapshot({ verified, tookMs }) {
      const outcome = verified ? 'verified' : 'failed'
      metrics.add('sai_runtime_snapshots_total', { service, outcome })
      metrics.observe('sai_runtime_snapshot_seconds', of, tookMs / 1_000)
    },
  }
}

/** What a runtime says when it is asked, as metrics: read at each scrape. */
export function watchRuntime(
  metrics: Metrics,
  runtime: Pick<ServiceRuntime<unknown, Message, Message>, 'service' | 'onLeadership' | 'status'>,
): void {
  const { service } = runtime
  const of = { service }
  runtime.onLeadership((leading) => {
    const change = leading ? 'won' : 'lost'
    metrics.add('sai_runtime_leadership_changes_total', { service, change })
  })
  metrics.onScrape(() => {
    const status = runtime.status()
    const folded = status.position - Math.max(0, status.lastSnapshotPosition)
    metrics.set('sai_runtime_leading', of, status.role === 'Leading' ? 1 : 0)
    metrics.set('sai_runtime_epoch', of, status.epoch)
    metrics.set('sai_runtime_lag_records', of, status.lagRecords)
    metrics.set('sai_runtime_mailbox_items', of, status.mailboxItems)
    metrics.set('sai_runtime_unsettled_effects', of, status.unsettledEffects)
    metrics.set('sai_runtime_oldest_effect_age_seconds', of, status.oldestEffectAgeMs / 1_000)
    metrics.set('sai_runtime_unpublished_events', of, status.unpublishedEvents)
    metrics.set('sai_runtime_parked_inputs', of, status.parkedInputs)
    metrics.set('sai_runtime_snapshot_age_records', of, Math.max(0, folded))
    metrics.set('sai_runtime_alarm', of, status.alarm === '' ? 0 : 1)
  })
}
