import { type KafkaConfig, kafkaSettings } from '@serverless-ai/config'
import type { Ports } from '@serverless-ai/kernel'
import type { Metrics } from '@serverless-ai/telemetry'
import { openInProcessBus, type TelemetryBus } from '@serverless-ai/telemetry-bus'
import { appendObserver } from './kafka-metrics.ts'

/**
 * Opens what carries measurements between services: on Kafka where brokers are named, else inside
 * this process, which then has all services. Asks no broker: one that is away holds nobody up.
 * @throws ConfigError
 */
export async function openTelemetryBus(init: {
  kafka: KafkaConfig
  ports: Ports
  /** Cell. */
  partition: number
  metrics: Metrics
}): Promise<TelemetryBus> {
  const { kafka, ports, partition, metrics } = init
  if (kafka.brokers.length === 0) return openInProcessBus(ports.clock)
  const { openKafkaBus } = await import('@serverless-ai/telemetry-bus/kafka')
  const observer = appendObserver(metrics)
  const bus = openKafkaBus({ ...kafkaSettings(kafka), ports, partition, observer })
  const { process } = metrics
  metrics.onScrape(() => {
    metrics.total('sai_telemetry_dropped_batches_total', { process }, bus.counts.dropped)
  })
  return bus
}
