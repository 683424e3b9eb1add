import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeEvent } from '@serverless-ai/client/events'
import { Record as LogRecord } from '@serverless-ai/contracts/log/v1/record'
import { eventsTopic, openMemoryLog, openSnapshotDirectory } from '@serverless-ai/eventlog'
import { planTopics } from '@serverless-ai/eventlog/kafka'
import { createRuntime } from '@serverless-ai/runtime'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { jobsService, SERVICE } from '../e2e/consumers/jobs-core.ts'
import { goldenSource, recordedServices } from '../golden/golden-log.ts'
import { SERVICES } from '../support/fold.ts'
import { quietPorts } from '../support/quiet-ports.ts'
import { ROOT } from '../support/root.ts'
import { until } from '../support/until.ts'

interface Message {
  readonly 'x-protobuf-message': string
  readonly bindings: { readonly kafka: { readonly key: { readonly description: string } } }
}
interface Channel {
  readonly address: string
  readonly messages: Readonly<Record<string, unknown>>
  readonly bindings: { readonly kafka: { readonly topicConfiguration: Record<string, unknown> } }
}
interface Document {
  readonly channels: Readonly<Record<string, Channel>>
  readonly components: {
    readonly messages: Readonly<Record<string, Message>>
    readonly schemas: {
      readonly headers: {
        readonly required: readonly string[]
        readonly properties: Readonly<Record<string, { const?: string; pattern?: string }>>
      }
    }
  }
}

const document: Document = parse(
  readFileSync(join(ROOT, 'docs/reference/events/asyncapi.yaml'), 'utf8'),
)
const channelOf = (service: string): Channel | undefined =>
  Object.values(document.channels).find(({ address }) => address === eventsTopic(service))

test('each service has its channel, with the settings that its topic is planned with', () => {
  expect(Object.keys(document.channels)).toHaveLength(SERVICES.length)
  const plans = planTopics({ services: SERVICES })
  for (const service of SERVICES) {
    const channel = channelOf(service)
    const config = plans.find(({ topic }) => topic === channel?.address)?.config
    const told = channel?.bindings.kafka.topicConfiguration ?? {}
    expect(Object.keys(told)).toEqual(['cleanup.policy', 'retention.ms', 'max.message.bytes'])
    for (const [name, value] of Object.entries(told)) {
      expect(config?.[name], `${service} ${name}`).toBe(String(value))
    }
  }
})

/** What the documented key of an event is in its message. */
function keyIn(value: object, key: string): unknown {
  const fields = { 'job id': 'jobId', 'node id': 'nodeId', 'queue name': 'name' }
  const wanted = Object.entries(fields).find(([name]) => name === key)?.[1] ?? key
  if (wanted in value && key !== 'queue name') return Reflect.get(value, wanted)
  const inner: unknown = [
    'incident',
    'checkpoint',
    'node',
    'queue',
    'target',
    'decision',
    'profile',
  ]
    .map((name) => Reflect.get(value, name))
    .find((each) => each !== undefined)
  return typeof inner === 'object' && inner !== null ? Reflect.get(inner, wanted) : undefined
}

const GOLDEN = join(ROOT, 'tests/golden/0.2.0')

test.each(recordedServices(GOLDEN))(
  'what %s has published is in its channel, under the key that it tells',
  (of) => {
    const { records } = goldenSource(GOLDEN, of)
    const events = records.flatMap(({ value }) => {
      const { body } = LogRecord.decode(value)
      return body?.$case === 'commit' ? body.value.publics : []
    })
    // The quickstart promises nothing: it has no objectives.
    expect(events.length > 0).toBe(of !== 'sla-monitor')
    for (const event of events) {
      const decoded = decodeEvent(event)
      expect(decoded, event.type).toBeDefined()
      expect(Object.keys(channelOf(of)?.messages ?? {})).toContain(decoded!.name)
      const message = document.components.messages[decoded!.name]
      expect(message?.['x-protobuf-message']).toBe(event.type)
      const key = message?.bindings.kafka.key.description ?? ''
      expect(keyIn(decoded!.value, key), `${event.type}: ${key}`).toBe(event.key)
    }
  },
)

test('a record of the topic has the headers that the document tells', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sai-events-'))
  const eventLog = openMemoryLog({ ports: quietPorts })
  const snapshots = openSnapshotDirectory({ directory, ports: quietPorts })
  const feed = () => Promise.reject(new Error('there are no inputs'))
  const here = { replica: 'r', address: '127.0.0.1:1', partition: 0 }
  const runtime = createRuntime(jobsService, { eventLog, snapshots, feed, ...here }, quietPorts)
  await runtime.start()
  await runtime.execute({ type: 'Change', jobs: [{ jobId: 'j-1', state: 'Running' }] })
  const at = { topic: eventsTopic(SERVICE), partition: 0 }
  const record = await until(
    'the event to be published',
    async () =>
      (await eventLog.fetch(at, { from: 0, maxBytes: 1_000_000, waitMs: 100 })).records[0],
    { timeoutMs: 10_000 },
  )
  await runtime.stop()
  rmSync(directory, { recursive: true })
  const { required, properties } = document.components.schemas.headers
  expect(Object.keys(properties)).toEqual(expect.arrayContaining(Object.keys(record.headers)))
  for (const name of required) {
    const value = record.headers[name]
    expect(value, name).toBeDefined()
    const { const: only, pattern } = properties[name] ?? {}
    if (only !== undefined) expect(value).toBe(only)
    if (pattern !== undefined) expect(value).toMatch(new RegExp(pattern))
  }
  expect(record.headers['ce_subject']).toBe(record.key)
})
