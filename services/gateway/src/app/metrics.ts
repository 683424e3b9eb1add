import type { Metrics } from '@serverless-ai/hosting/process'
import type { Gateway } from './gateway.ts'

const service = 'gateway'

/** Requests from their first on, what is held and connected at each scrape. */
export function watchGateway(metrics: Metrics, gateway: Gateway): void {
  for (const name of [
    'sai_gateway_requests_total',
    'sai_gateway_request_seconds',
    'sai_gateway_first_byte_seconds',
    'sai_gateway_queue_seconds',
  ] as const) {
    metrics.zero(name, { service })
  }
  metrics.onScrape(() => {
    const services = gateway.services.list()
    const held = services.reduce((sum, { gate }) => sum + gate.queue.size, 0)
    const running = services.reduce((sum, { gate }) => sum + gate.replicas.inFlight, 0)
    metrics.set('sai_gateway_held_requests', { service }, held)
    metrics.set('sai_gateway_running_requests', { service }, running)
    metrics.set('sai_gateway_connections', { service }, gateway.connections)
    metrics.set('sai_gateway_buffered_bytes', { service }, gateway.bufferedBytes)
  })
}
