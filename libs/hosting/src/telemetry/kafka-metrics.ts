import type { AppendObserver } from '@serverless-ai/eventlog/kafka'
import type { Metrics } from '@serverless-ai/telemetry'

/** Appends to Kafka as metrics. */
export function appendObserver(metrics: Metrics): AppendObserver {
  const { process } = metrics
  return {
    ended({ topic, outcome, bytes, tookMs }) {
      const of = { process, topic }
      metrics.observe('sai_kafka_append_seconds', of, tookMs / 1_000)
      metrics.zero('sai_kafka_append_failures_total', of)
      metrics.zero('sai_kafka_append_retries_total', of)
      if (outcome === 'acknowledged') {
        metrics.add('sai_kafka_appends_total', of)
        metrics.add('sai_kafka_append_bytes_total', of, bytes)
      } else {
        metrics.add('sai_kafka_append_failures_total', { ...of, outcome })
      }
    },
    retried: (topic) => metrics.add('sai_kafka_append_retries_total', { process, topic }),
  }
}
