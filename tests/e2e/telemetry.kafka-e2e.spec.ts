import { SERVICE_NAMES } from '@serverless-ai/contracts/services'
import { METRICS, type MetricSpec } from '@serverless-ai/telemetry'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Platform } from '../support/platform.ts'
import { readExposition } from './telemetry/exposition.ts'
import { type OtlpReceiver, openOtlpReceiver } from './telemetry/otlp-receiver.ts'
import { TracedJob } from './telemetry/traced-job.ts'

let receiver: OtlpReceiver
let platform: Platform

beforeAll(async () => {
  receiver = await openOtlpReceiver()
  const args = ['--tracing.endpoint', receiver.endpoint]
  platform = await Platform.start({ nodes: 2, devicesPerNode: 1, replicas: 2, args })
}, 240_000)
afterAll(async () => {
  await platform.close()
  await receiver.close()
})

/** Metrics of processes: what is there, and of whom. */
async function scrape(processes: readonly { readonly health: string }[]) {
  const owners = new Map<string, Set<string>>()
  for (const { health } of processes) {
    const answer = await fetch(`${health}/metrics`)
    expect(answer.status).toBe(200)
    for (const { name, samples } of readExposition(await answer.text()).values()) {
      const found = owners.get(name) ?? new Set()
      owners.set(name, found)
      for (const { labels } of samples) found.add(labels['service'] ?? labels['process'] ?? '')
    }
  }
  return owners
}

const SERVICES = SERVICE_NAMES.toSorted()
/** Those that a job goes through; the others look on. */
const ON_THE_WAY = ['fault-tolerance', 'mediator', 'pool-manager', 'scheduler']
const REGISTERED = Object.entries<MetricSpec>(METRICS)

/** The gateway has no log. */
const isGateway = ({ service }: { readonly service: string }) => service === 'gateway'

describe('a platform of many processes on Kafka', () => {
  it('emits all that is registered, each service by its own processes, and no more', async () => {
    const services = platform.processes.filter((process) => !isGateway(process))
    expect(services).toHaveLength(2 * SERVICES.length)
    const owners = await scrape(services)
    expect([...owners.keys()].filter((name) => !Object.hasOwn(METRICS, name))).toEqual([])
    for (const [name, { from }] of REGISTERED) {
      const whose = from.filter((owner) => owner !== 'gateway')
      const expected = from.includes('process') ? SERVICES : whose.toSorted()
      expect([...(owners.get(name) ?? [])].sort(), name).toEqual(expected)
    }
  })

  it('emits what is registered of the gateway, which has no log', async () => {
    const gateways = platform.processes.filter(isGateway)
    expect(gateways).toHaveLength(1)
    const names = [...(await scrape(gateways)).keys()]
    const from = (owner: 'gateway' | 'process') =>
      REGISTERED.filter(([, spec]) => spec.from.includes(owner)).map(([name]) => name)
    expect(names).toEqual(expect.arrayContaining(from('gateway')))
    expect([...from('gateway'), ...from('process')]).toEqual(expect.arrayContaining(names))
  })

  it('follows a job in one trace through all of them and their records', async () => {
    const traced = await TracedJob.run(platform, receiver)
    const way = traced.toPlacement()
    const processes = way.map(({ process, attributes }) => [process, attributes['sai.service']])
    for (const [process, service] of processes) expect([process, undefined]).toContain(service)
    expect([...new Set(processes.map(([process]) => process))].sort()).toEqual(ON_THE_WAY)
    const ids = new Set(traced.spans.map(({ spanId }) => spanId))
    const begins = traced.spans.filter(({ parentSpanId }) => !ids.has(parentSpanId))
    expect([...new Set(begins.map(({ parentSpanId }) => parentSpanId))]).toEqual([traced.callerId])
    const tasks = traced.all('pool-manager', 'task').map(({ spanId }) => spanId)
    const { parent } = JSON.parse(traced.job.resultJson)
    expect(tasks.map((spanId) => `00-${traced.traceId}-${spanId}-01`)).toContain(parent)
  })
})
