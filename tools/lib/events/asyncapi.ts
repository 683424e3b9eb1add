import { fromJson, toJson } from '@bufbuild/protobuf'
import { stringify } from 'yaml'
import type { Catalogue, EventEntry, OwnerEntry } from './catalogue.ts'
import { ABOUT, EVENTS_RETENTION_MS, MESSAGE_MAX_BYTES } from './promises.ts'
import { SAMPLES } from './samples.ts'

const SCHEMA_FORMAT = 'application/vnd.google.protobuf;version=3'

/** Name of a service as a name in code: `pool-manager` is `poolManager`. */
const camel = (name: string): string =>
  name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())

const ref = (path: string) => ({ $ref: `#/${path}` })

/** Headers that every record has: CloudEvents 1.0 in the binary form of its Kafka binding. */
function commonHeaders(): object {
  const text = (description: string, more: object = {}) => ({
    type: 'string',
    description,
    ...more,
  })
  const properties = {
    ce_specversion: text('Version of CloudEvents.', { const: '1.0' }),
    ce_id: text(
      '`<service>/<cell>/<seq>`; seq is dense from 1 in each cell. By it copies are dropped.',
      { pattern: '^[a-z-]+/(0|[1-9][0-9]*)/[1-9][0-9]*$' },
    ),
    ce_source: text('`serverlessai/<service>/<cell>`.', {
      pattern: '^serverlessai/[a-z-]+/(0|[1-9][0-9]*)$',
    }),
    ce_type: text('Full name of the protobuf message in the value.'),
    ce_subject: text('The key of the record.'),
    ce_time: text('Log time of the commit.', { format: 'date-time' }),
    ce_tenant: text('Tenant that may see it; empty = operators only.'),
    'content-type': text('Form of the value.', { const: 'application/protobuf' }),
    traceparent: text('W3C trace context of what led to it, when there is one.'),
  }
  const required = Object.keys(properties).filter((name) => name !== 'traceparent')
  return { type: 'object', required, properties }
}

function message(owner: OwnerEntry, event: EventEntry, catalogue: Catalogue): object {
  const sample = SAMPLES[event.name]
  if (sample === undefined) throw new Error(`${event.name} has no example`)
  const descriptor = catalogue.messageOf(event.type)
  const { registry } = catalogue
  // Read and written again: an example with a field that is not there fails here.
  const payload = toJson(descriptor, fromJson(descriptor, JSON.parse(JSON.stringify(sample))), {
    registry,
  })
  const headers = {
    ce_specversion: '1.0',
    ce_id: `${owner.service}/0/4711`,
    ce_source: `serverlessai/${owner.service}/0`,
    ce_type: event.type,
    ce_subject: 'key of the record',
    ce_time: '2026-01-02T03:04:05.000Z',
    ce_tenant: 'vision',
    'content-type': 'application/protobuf',
  }
  return {
    name: event.type,
    title: event.name,
    summary: event.summary,
    contentType: 'application/protobuf',
    headers: {
      allOf: [
        ref('components/schemas/headers'),
        { type: 'object', properties: { ce_type: { type: 'string', const: event.type } } },
      ],
    },
    payload: ref(`components/schemas/${camel(owner.service)}Proto`),
    bindings: {
      kafka: { key: { type: 'string', description: event.key }, bindingVersion: '0.5.0' },
    },
    examples: [{ name: 'json', summary: 'The value in the JSON form.', headers, payload }],
    'x-protobuf-message': event.type,
  }
}

function channel({ service, topic, events }: OwnerEntry): object {
  return {
    address: topic,
    title: `Public events of ${service}`,
    description: `Partition = cell. Written by the leader of ${service} in that cell alone.`,
    messages: Object.fromEntries(
      events.map(({ name }) => [name, ref(`components/messages/${name}`)]),
    ),
    bindings: {
      kafka: {
        topic,
        topicConfiguration: {
          'cleanup.policy': ['delete'],
          'retention.ms': EVENTS_RETENTION_MS,
          'max.message.bytes': MESSAGE_MAX_BYTES,
        },
        bindingVersion: '0.5.0',
      },
    },
  }
}

/**
 * The AsyncAPI 3 document of the public events.
 *
 * @param protoOf text of a proto file, by its path below `proto/`
 */
export function asyncApiDocument(catalogue: Catalogue, protoOf: (file: string) => string): object {
  const { owners } = catalogue
  const byOwner = <T>(of: (owner: OwnerEntry) => T, name = (text: string) => text) =>
    Object.fromEntries(owners.map((owner) => [name(camel(owner.service)), of(owner)]))
  const messages = owners.flatMap((owner) =>
    owner.events.map((event) => [event.name, message(owner, event, catalogue)] as const),
  )
  const publish = ({ service }: OwnerEntry) => ({
    action: 'send',
    channel: ref(`channels/${camel(service)}`),
    summary: `${service} publishes its events in order, at least once.`,
  })
  const proto = ({ file }: OwnerEntry) => ({ schemaFormat: SCHEMA_FORMAT, schema: protoOf(file) })
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'serverless-ai public events',
      version: '1',
      description: ABOUT,
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: 'application/protobuf',
    servers: {
      kafka: {
        host: '{brokers}',
        protocol: 'kafka',
        description: 'The Kafka cluster that the platform was set up with; TLS and SASL as there.',
        variables: { brokers: { default: '127.0.0.1:9092' } },
      },
    },
    channels: byOwner(channel),
    operations: byOwner(publish, (name) => `${name}Publishes`),
    components: {
      messages: Object.fromEntries(messages),
      schemas: { headers: commonHeaders(), ...byOwner(proto, (name) => `${name}Proto`) },
    },
  }
}

/** The document as text. */
export const asyncApiYaml = (document: object): string =>
  `# Generated by npm run gen from proto/serverlessai/events. Do not edit.\n${stringify(document, {
    lineWidth: 0,
    aliasDuplicateObjects: false,
  })}`
