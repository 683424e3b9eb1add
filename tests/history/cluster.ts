import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kafkaConfig, kafkaSettings } from '@serverless-ai/config'
import { type EventLog, logTopic } from '@serverless-ai/eventlog'
import { applyTopics, openKafkaLog, planTopics } from '@serverless-ai/eventlog/kafka'
import { openCredentials, SERVICE_NAMES, type ServiceName } from '@serverless-ai/hosting'
import { systemRandomness } from '@serverless-ai/kernel/system'
import type { LabHost, LabNetwork } from '../support/kafka-network.ts'
import { freePorts } from '../support/ports.ts'
import { quietPorts } from '../support/quiet-ports.ts'
import { ROOT } from '../support/root.ts'
import { WatchedProcess } from '../support/watched-process.ts'

/** What a cluster is made with. */
export interface ClusterInit {
  /** Bootstrap addresses, `host:port` with commas between. */
  readonly brokers: string
  readonly replicationFactor: number
  /** Replicas of each service; 1 where it says nothing. */
  readonly replicas: Readonly<Partial<Record<ServiceName, number>>>
  readonly tenant: string
  /** Nodes that get a token. Default: none. */
  readonly nodes?: readonly string[]
  /** Main of a service, to run another build. Default: this one's. */
  readonly mainOf?: (service: ServiceName) => string
  /** Each replica is a host of it, so that it can be cut off. Default: all on the loopback. */
  readonly network?: LabNetwork
  /** More environment for its processes, to switch a protection off by a wrapper of the tests. */
  readonly env?: Readonly<Record<string, string>>
}

const START_TIMEOUT_MS = 180_000

/** One replica of a service: a process that can be killed, paused and started again. */
export class Replica {
  readonly service: ServiceName
  /** `scheduler-1`. */
  readonly name: string
  readonly port: number
  readonly #host: LabHost | undefined
  readonly #start: (replica: Replica) => ChildProcess
  readonly #process: WatchedProcess

  constructor(
    at: { service: ServiceName; name: string; port: number; host: LabHost | undefined },
    start: (replica: Replica) => ChildProcess,
  ) {
    this.service = at.service
    this.name = at.name
    this.port = at.port
    this.#host = at.host
    this.#start = start
    this.#process = new WatchedProcess(at.name)
  }

  get ip(): string {
    return this.#host?.address ?? '127.0.0.1'
  }

  get address(): string {
    return `${this.ip}:${this.port}`
  }

  /** Words before its command. */
  get prefix(): readonly string[] {
    return this.#host?.prefix ?? []
  }

  /** Cuts it off from everybody. Does nothing without a network. */
  async cutOff(): Promise<void> {
    await this.#host?.cutOff()
  }

  async reconnect(): Promise<void> {
    await this.#host?.reconnect()
  }

  /** 0 = it was never started. */
  get pid(): number {
    return this.#process.pid
  }

  get running(): boolean {
    return this.#process.running
  }

  get output(): string {
    return this.#process.output
  }

  start(): void {
    this.#process.watch(this.#start(this))
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** SIGTERM: in order. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  pause(): void {
    this.#process.child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#process.child?.kill('SIGCONT')
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const { child } = this.#process
    if (child === undefined || !this.running) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await ended
  }

  /** Resolves when it is ready: it has caught up, and reaches what it needs. */
  async ready(timeoutMs = START_TIMEOUT_MS): Promise<void> {
    await this.#process.ready(`http://${this.ip}:${this.port + 1}/readyz`, timeoutMs)
  }
}

interface Place {
  readonly service: ServiceName
  readonly name: string
  readonly port: number
  readonly host: LabHost | undefined
}

/** Where each replica is to run. */
async function placesOf({ replicas, network }: ClusterInit): Promise<readonly Place[]> {
  const list = SERVICE_NAMES.flatMap((service) =>
    Array.from({ length: replicas[service] ?? 1 }, (_, index) => {
      return { service, name: `${service}-${index + 1}` }
    }),
  )
  if (network === undefined) {
    const first = await freePorts(2 * list.length)
    return list.map((one, index) => ({ ...one, port: first + 2 * index, host: undefined }))
  }
  const places: Place[] = []
  for (const one of list) places.push({ ...one, port: 7070, host: await network.host(one.name) })
  return places
}

/** The control plane on Kafka: every replica of every service a process of its own. */
export class Cluster {
  readonly dataDir: string
  readonly replicas: readonly Replica[]
  readonly #init: ClusterInit
  readonly tokens: ReturnType<typeof openCredentials>
  /** Clusters share a broker: each has topics of its own. */
  readonly #topicPrefix = `t${randomBytes(4).toString('hex')}.`

  private constructor(init: ClusterInit, places: readonly Place[]) {
    this.#init = init
    this.dataDir = mkdtempSync(join(tmpdir(), 'sai-cluster-'))
    const { dataDir } = this
    this.tokens = openCredentials({
      ...{ dataDir, randomness: systemRandomness },
      ...{ tenants: [init.tenant], nodes: init.nodes ?? [] },
    })
    this.replicas = places.map((place) => new Replica(place, (replica) => this.#spawn(replica)))
  }

  /** Makes the topics, starts all replicas and waits until they are ready. */
  static async start(init: ClusterInit): Promise<Cluster> {
    const cluster = new Cluster(init, await placesOf(init))
    const replication = init.replicationFactor
    const plan = planTopics({ services: SERVICE_NAMES, replication, telemetry: true })
    try {
      await applyTopics(cluster.#connection(), plan)
      for (const replica of cluster.replicas) replica.start()
      await Promise.all(cluster.replicas.map((replica) => replica.ready()))
      return cluster
    } catch (error) {
      await cluster.close()
      throw error
    }
  }

  #connection(): Parameters<typeof openKafkaLog>[0] {
    const brokers = this.#init.brokers.split(',')
    // The test's own look may take long on a busy machine; it measures nothing.
    const given = { brokers, topicPrefix: this.#topicPrefix, requestTimeoutMs: 30_000 }
    const settings = kafkaSettings(kafkaConfig.parse(given))
    return { ...settings, ports: quietPorts }
  }

  /** Its log, for a look from outside. Close it. */
  openLog(): Promise<EventLog> {
    return openKafkaLog(this.#connection())
  }

  /** Its private log, as the brokers know it. */
  topicOf(service: ServiceName): string {
    return `${this.#topicPrefix}${logTopic(service)}`
  }

  /** Addresses of a service's replicas, with commas between. */
  addressOf(service: ServiceName): string {
    return this.of(service)
      .map(({ address }) => address)
      .join(',')
  }

  of(service: ServiceName): readonly Replica[] {
    return this.replicas.filter((replica) => replica.service === service)
  }

  /** Replica of a name. Throws when there is none. */
  named(name: string): Replica {
    const found = this.replicas.find((replica) => replica.name === name)
    if (found === undefined) throw new RangeError(`no replica is called '${name}'`)
    return found
  }

  #spawn(replica: Replica): ChildProcess {
    const { service, name, port } = replica
    const { brokers, replicationFactor, mainOf, env } = this.#init
    const main = mainOf?.(service) ?? join(ROOT, 'services', service, 'dist/main.js')
    // Its own replicas too: they are asked what they know before a feature level is raised.
    const peers = SERVICE_NAMES.flatMap((one) => [`--peers.${one}`, this.addressOf(one)])
    const names = this.of(service).map((one) => one.name)
    const { network } = this.#init
    const args = [
      ...['--data', this.dataDir, '--port', String(port), '--host', replica.ip],
      // The network is that of the test alone.
      ...(network === undefined ? [] : ['--insecure-dev']),
      ...['--replica', name, '--replicas', names.join(',')],
      ...['--kafka.brokers', brokers, '--kafka.topic-prefix', this.#topicPrefix],
      ...['--kafka.replication-factor', String(replicationFactor)],
      ...peers,
    ]
    const [program = '', ...words] = [...replica.prefix, process.execPath, main, ...args]
    return spawn(program, words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    })
  }

  /** Ends all processes at once and removes their data. */
  async close(): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.kill()))
    rmSync(this.dataDir, { recursive: true, force: true })
  }
}
