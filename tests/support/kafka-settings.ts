// Settings of test brokers: the file that people start from, with what a test needs different.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './root.ts'

/** Names and values of `server.properties`. */
export type BrokerSettings = Readonly<Record<string, string | number>>

/** Where one broker of a cluster stands. */
export interface BrokerPlace {
  readonly id: number
  readonly host: string
  /** For clients without TLS; absent where there is no such listener. */
  readonly plainPort?: number
  /** For clients with TLS and SCRAM. */
  readonly securePort?: number
  /** For the other brokers. */
  readonly internalPort: number
  readonly controllerPort: number
}

/** Files of a broker's TLS, PEM. */
export interface BrokerTls {
  /** Key and certificates in one file. */
  readonly keystore: string
  readonly truststore: string
}

/**
 * How long a broker may be silent before the others lead, ms; the default is 9 s. So long it also
 * waits after a kill before it is let in again.
 */
const SESSION_TIMEOUT_MS = 3000

/** For clusters where nothing fails on purpose: nobody is taken for dead on a busy machine. */
export const PATIENT: BrokerSettings = {
  'broker.session.timeout.ms': 60_000,
  'controller.quorum.election.timeout.ms': 4000,
  'controller.quorum.fetch.timeout.ms': 15_000,
  'controller.quorum.request.timeout.ms': 15_000,
}

/** The template with some settings changed and others added. */
export function settingsText(changes: BrokerSettings): string {
  const template = readFileSync(join(ROOT, 'infra/kafka/server.properties'), 'utf8')
  const rest = new Map(Object.entries(changes))
  const lines = template.split('\n').map((line) => {
    const name = line.slice(0, Math.max(0, line.indexOf('=')))
    const value = rest.get(name)
    if (value === undefined || !rest.delete(name)) return line
    return `${name}=${value}`
  })
  return [...lines, ...[...rest].map(([name, value]) => `${name}=${value}`), ''].join('\n')
}

function listeners(place: BrokerPlace): { readonly all: string; readonly advertised: string } {
  const { host, plainPort, securePort, internalPort, controllerPort } = place
  const advertised = [
    ...(plainPort === undefined ? [] : [`PLAINTEXT://${host}:${plainPort}`]),
    ...(securePort === undefined ? [] : [`SECURE://${host}:${securePort}`]),
    `INTERNAL://${host}:${internalPort}`,
  ]
  const all = [...advertised, `CONTROLLER://${host}:${controllerPort}`]
  return { all: all.join(','), advertised: advertised.join(',') }
}

/** Copies of the topics that Kafka keeps for itself. */
function copies(brokers: number): BrokerSettings {
  const isr = Math.min(2, brokers)
  return {
    'offsets.topic.replication.factor': brokers,
    'transaction.state.log.replication.factor': brokers,
    'transaction.state.log.min.isr': isr,
    'share.coordinator.state.topic.replication.factor': brokers,
    'share.coordinator.state.topic.min.isr': isr,
  }
}

const LOGIN = 'org.apache.kafka.common.security.scram.ScramLoginModule required;'

/** TLS everywhere but on the listener for clients without; brokers know each other by it. */
function secured(tls: BrokerTls, acls: boolean): BrokerSettings {
  const authorizer = {
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'allow.everyone.if.no.acl.found': 'false',
    'super.users': 'User:CN=kafka-broker;User:admin',
  }
  return {
    'sasl.enabled.mechanisms': 'SCRAM-SHA-256,SCRAM-SHA-512',
    'listener.name.secure.scram-sha-256.sasl.jaas.config': LOGIN,
    'listener.name.secure.scram-sha-512.sasl.jaas.config': LOGIN,
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': tls.keystore,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': tls.truststore,
    'listener.name.internal.ssl.client.auth': 'required',
    'listener.name.controller.ssl.client.auth': 'required',
    ...(acls ? authorizer : {}),
  }
}

/** Settings of one broker, which is a controller too. */
export function brokerSettings(init: {
  readonly place: BrokerPlace
  readonly all: readonly BrokerPlace[]
  readonly dataDirectory: string
  readonly tls?: BrokerTls
  readonly acls: boolean
}): BrokerSettings {
  const { place, all, dataDirectory, tls, acls } = init
  const { all: listen, advertised } = listeners(place)
  const inner = tls === undefined ? 'PLAINTEXT' : 'SSL'
  const names = { PLAINTEXT: 'PLAINTEXT', SECURE: 'SASL_SSL', INTERNAL: inner, CONTROLLER: inner }
  const voters = all.map(({ id, host, controllerPort }) => `${id}@${host}:${controllerPort}`)
  return {
    'node.id': place.id,
    'controller.quorum.voters': voters.join(','),
    listeners: listen,
    'advertised.listeners': advertised,
    'inter.broker.listener.name': 'INTERNAL',
    'listener.security.protocol.map': Object.entries(names)
      .map(([name, protocol]) => `${name}:${protocol}`)
      .join(','),
    'log.dirs': dataDirectory,
    ...copies(all.length),
    'group.initial.rebalance.delay.ms': 0,
    'broker.heartbeat.interval.ms': 500,
    'broker.session.timeout.ms': SESSION_TIMEOUT_MS,
    ...(tls === undefined ? {} : secured(tls, acls)),
  }
}
