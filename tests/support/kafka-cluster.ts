// Kafka brokers as processes of their own that a test may kill, pause, cut off, fill up and start
// again. Each is controller and broker (KRaft).
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KafkaConnection } from '@serverless-ai/eventlog/kafka'
import { clusterAdmin } from './kafka-admin.ts'
import { type LabNetwork, networkPermitted, openLabNetwork } from './kafka-network.ts'
import { type BrokerNode, type CableEnd, formatCluster, startNode } from './kafka-node.ts'
import { makeClusterTls, type ScramUser } from './kafka-security.ts'
import { type BrokerPlace, type BrokerSettings, brokerSettings } from './kafka-settings.ts'
import { freePorts } from './ports.ts'
import { until } from './until.ts'

/** What a cluster is made of. */
export interface ClusterOptions {
  /** Folder of the broker's jars. */
  readonly jars: string
  /** Brokers: 1 or 3. */
  readonly brokers: number
  /**
   * `plain` (default): without TLS; `both`: TLS and SCRAM on a second listener, no ACLs; `acls`:
   * TLS and SCRAM only, and nobody but `admin` may do anything without an ACL.
   */
  readonly security?: 'plain' | 'both' | 'acls'
  /** Users beside `admin`, by SCRAM-SHA-512 and SCRAM-SHA-256. */
  readonly users?: readonly string[]
  /** Size of each broker's disk, MiB; without it the disk of the machine. Needs root. */
  readonly diskMib?: number
  /** Heap of each broker, MiB. Default 384. */
  readonly heapMib?: number
  /** Network namespaces, so that hosts can be cut off. Default: the loopback. Needs root. */
  readonly network?: boolean
  /** Further settings of the brokers. */
  readonly settings?: BrokerSettings
}

/** A cluster that runs. */
export interface BrokerCluster {
  readonly nodes: readonly BrokerNode[]
  /** As `admin` on the secure listener, or without TLS. */
  readonly connection: KafkaConnection
  /** A connection as one of the users. */
  as(user: string): KafkaConnection
  /** The network of the brokers, for clients that can be cut off too. */
  readonly network: LabNetwork | undefined
  /** The broker that leads a partition, asked of the others if need be. */
  leaderOf(topic: string, partition: number): Promise<BrokerNode>
  /** Waits until all brokers are up. */
  up(): Promise<void>
  /** Waits until all brokers are up and every copy of the partition is in sync. */
  whole(topic: string, partition: number): Promise<void>
  /** Ends everything. */
  stop(): Promise<void>
}

/** Three JVMs on two busy cores take their time. */
const READY_TIMEOUT_MS = 240_000
const PORTS_EACH = 4

async function placesOf(
  options: ClusterOptions,
  network: LabNetwork | undefined,
): Promise<{ place: BrokerPlace; prefix: readonly string[]; cable?: CableEnd }[]> {
  const { brokers, security = 'plain' } = options
  const first = network === undefined ? await freePorts(PORTS_EACH * brokers) : 0
  const list = []
  for (let index = 0; index < brokers; index += 1) {
    const host = await network?.host(`kafka-${index + 1}`)
    const base = host === undefined ? first + PORTS_EACH * index : 9092
    const place = {
      id: index + 1,
      host: host?.address ?? '127.0.0.1',
      ...(security !== 'acls' && { plainPort: base }),
      ...(security !== 'plain' && { securePort: base + 1 }),
      internalPort: base + 2,
      controllerPort: base + 3,
    }
    list.push({ place, prefix: host?.prefix ?? [], ...(host && { cable: host }) })
  }
  return list
}

/** Starts a cluster and waits until all its brokers are up. */
export async function startCluster(options: ClusterOptions): Promise<BrokerCluster> {
  const { security = 'plain', jars } = options
  if (options.network === true && !(await networkPermitted())) {
    throw new Error('network namespaces are not permitted here: root and iproute2 are needed')
  }
  const network = options.network === true ? await openLabNetwork() : undefined
  const directory = mkdtempSync(join(tmpdir(), 'kafka-cluster-'))
  const nodes: BrokerNode[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.destroy()))
    await network?.close()
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    const places = await placesOf(options, network)
    const hosts = [...new Set(['localhost', ...places.map(({ place }) => place.host)])]
    const tls = security === 'plain' ? undefined : await makeClusterTls(directory, hosts)
    const users = ['admin', ...(options.users ?? [])].map(
      (name): ScramUser => ({ name, password: randomBytes(12).toString('hex') }),
    )
    const id = randomBytes(16)
    // With the first bit set it could begin with a dash, which the tool takes for an option.
    id[0] = id[0]! & 0x7f
    const clusterId = id.toString('base64url')
    const settingsOf = (place: BrokerPlace) => (dataDirectory: string) => ({
      ...brokerSettings({
        ...{ place, dataDirectory, acls: security === 'acls' },
        all: places.map((each) => each.place),
        ...(tls && { tls }),
      }),
      ...options.settings,
    })
    const checkpoint = await formatCluster({
      ...{ jars, directory, clusterId },
      settings: settingsOf(places[0]!.place),
      users: tls === undefined ? [] : users,
    })
    const starting = places.map(async ({ place, prefix, cable }) => {
      const home = join(directory, `broker-${place.id}`)
      mkdirSync(home)
      const node = await startNode({
        ...{ jars, place, prefix, home, clusterId, checkpoint },
        heapMib: options.heapMib ?? 384,
        settings: settingsOf(place),
        tls: tls !== undefined,
        ...(cable && { cable }),
        ...(options.diskMib !== undefined && { diskMib: options.diskMib }),
      })
      nodes.push(node)
    })
    const failed = (await Promise.allSettled(starting)).find((each) => each.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    nodes.sort((a, b) => a.id - b.id)
    const as = (user: string): KafkaConnection => {
      const known = users.find(({ name }) => name === user)
      if (tls === undefined || known === undefined) throw new Error(`no user ${user} here`)
      const brokers = places.map(({ place }) => `${place.host}:${place.securePort}`)
      const sasl = { mechanism: 'scram-sha-512', username: user, password: known.password } as const
      return { brokers, tls: { ca: tls.ca }, sasl }
    }
    const plain = places.map(({ place }) => `${place.host}:${place.plainPort}`)
    const connection = security === 'acls' ? as('admin') : { brokers: plain }
    await ready(nodes, connection)
    return { nodes, connection, as, network, ...watched(nodes, connection), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Waits until each broker knows of all the others. */
async function ready(nodes: readonly BrokerNode[], connection: KafkaConnection): Promise<void> {
  await until(
    `${nodes.length} brokers`,
    async () => {
      for (const node of nodes) node.mustRun()
      const admin = clusterAdmin(connection)
      for (const broker of connection.brokers) {
        const known = await admin.brokers(broker)
        if (known.length < nodes.length) return undefined
      }
      return true
    },
    { timeoutMs: READY_TIMEOUT_MS, everyMs: 100 },
  )
}

function watched(nodes: readonly BrokerNode[], connection: KafkaConnection) {
  const admin = clusterAdmin(connection)
  return {
    leaderOf: (topic: string, partition: number) =>
      until(
        `a leader of ${topic}/${partition}`,
        async () => {
          const { leader } = await admin.partition(topic, partition)
          return nodes.find(({ id }) => id === leader)
        },
        { timeoutMs: READY_TIMEOUT_MS, everyMs: 50 },
      ),
    up: () => ready(nodes, connection),
    async whole(topic: string, partition: number): Promise<void> {
      await ready(nodes, connection)
      await until(
        `all copies of ${topic}/${partition} in sync`,
        async () => {
          const { inSync, copies } = await admin.partition(topic, partition)
          return inSync === copies && copies > 0 ? true : undefined
        },
        { timeoutMs: READY_TIMEOUT_MS, everyMs: 50 },
      )
    },
  }
}
