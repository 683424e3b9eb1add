import {
  type ConnectOptions,
  connect,
  isAway,
  isFinished,
  type NewQueue,
  type PlatformClient,
} from '@serverless-ai/client'
import { decodeEvent, eventsTopic, watchedEvents } from '@serverless-ai/client/events'
import { type Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import { SERVICE_NAMES } from '@serverless-ai/contracts/services'
import { endAll } from './ending.ts'
import type {
  EventArea,
  EventFilter,
  Identity,
  JobState,
  TestEvent,
  WaitOptions,
} from './platform.ts'
import { randomToken, type Timers } from './ports.ts'

/** What the two kinds of platforms differ in. */
export interface Ground {
  /** gRPC addresses of all processes, with commas between. */
  readonly target: string
  /** Those of one service. */
  readonly targetOf: (area: EventArea) => string
  readonly topicPrefix: string
  /** Services that do not run. */
  readonly without: readonly string[]
  /** Addresses of the brokers as far as they are known. Absent = the log is embedded. */
  readonly kafka?: Readonly<Partial<Record<'host' | 'network', string>>>
  readonly tokens: Readonly<Record<Identity, string>>
  readonly nodeIds: readonly string[]
  readonly retries: boolean
  readonly timers: Timers
  /** A part of names that no other has. Default: by chance. */
  readonly newToken?: () => string
  /** Default: over gRPC. */
  readonly connect?: (options: ConnectOptions) => PlatformClient
  /** Sends a signal to the processes of a node: its supervisor alone, or its agent as well. */
  signalNode(nodeId: string, signal: NodeSignal): Promise<void>
  lastLines(): Promise<string>
}

/** What can be done to the processes of a node. */
export interface NodeSignal {
  readonly name: 'KILL' | 'TERM' | 'STOP' | 'CONT'
  readonly whom: 'supervisor' | 'all'
}

const WAIT_MS = 60_000
const LOOK_EVERY_MS = 50
const AGAIN_AFTER_MS = 200

/** A wait that took too long: says for what, and what was seen last. */
export class WaitTimeoutError extends Error {
  override readonly name = 'WaitTimeoutError'
}

const isArea = (name: string): name is EventArea => SERVICE_NAMES.some((area) => area === name)

const stateName = (state: Job_State): string =>
  Object.entries(Job_State).find(([, value]) => value === state)?.[0] ?? String(state)

const tell = (job: Job): string => {
  const message = job.message === '' ? '' : `: ${job.message}`
  return `${stateName(job.state)}, generation ${job.generation}${message}`
}

/** Everything that a started platform offers, on the ground of its kind. */
export class PlatformHandle {
  readonly #ground: Ground
  readonly #clients = new Map<string, PlatformClient>()
  readonly #paused = new Set<string>()

  constructor(ground: Ground) {
    this.#ground = ground
  }

  getGrpcTarget(): string {
    return this.#ground.target
  }

  getToken(identity: Identity): string {
    return this.#ground.tokens[identity]
  }

  getEventTopic(area: EventArea): string {
    return eventsTopic(area, this.#ground.topicPrefix)
  }

  getKafkaBootstrapServers(from: 'host' | 'network' = 'host'): string {
    const { kafka } = this.#ground
    if (kafka === undefined) {
      throw new Error('the log is embedded: there is no broker; see ServerlessAiEnvironment')
    }
    const address = kafka[from]
    if (address !== undefined) return address
    throw new Error('nobody said how this machine reaches the brokers: withKafka(…, { host })')
  }

  client(identity: Identity = 'team-a'): PlatformClient {
    return this.#connect(identity, this.#ground.target)
  }

  /** For what every process answers for itself alone: events and status. */
  #operatorOf(area: EventArea): PlatformClient {
    const { without, targetOf } = this.#ground
    if (without.includes(area)) throw new RangeError(`${area} was left out: see withServices`)
    return this.#connect('admin', targetOf(area))
  }

  #connect(identity: Identity, address: string): PlatformClient {
    const key = `${identity} ${address}`
    const known = this.#clients.get(key)
    if (known !== undefined) return known
    const base = { address, token: this.getToken(identity) }
    const { retries, connect: open = connect } = this.#ground
    const made = open(retries ? base : { ...base, retry: { attempts: 1 } })
    this.#clients.set(key, made)
    return made
  }

  async createQueue(queue: Partial<Omit<NewQueue, 'name'>> = {}): Promise<string> {
    const { newToken = () => randomToken(5) } = this.#ground
    const name = `t-${newToken()}`
    const made = await this.client('admin').createQueue({ tenant: 'team-a', ...queue, name })
    return made.name
  }

  nodeIds(): readonly string[] {
    return this.#ground.nodeIds
  }

  failNode(nodeId: string): Promise<void> {
    return this.#signal(nodeId, { name: 'KILL', whom: 'all' })
  }

  drainNode(nodeId: string): Promise<void> {
    return this.#signal(nodeId, { name: 'TERM', whom: 'supervisor' })
  }

  async pauseNode(nodeId: string): Promise<void> {
    await this.#signal(nodeId, { name: 'STOP', whom: 'all' })
    this.#paused.add(nodeId)
  }

  async resumeNode(nodeId: string): Promise<void> {
    this.#paused.delete(nodeId)
    await this.#signal(nodeId, { name: 'CONT', whom: 'all' })
  }

  #signal(nodeId: string, signal: NodeSignal): Promise<void> {
    const { nodeIds } = this.#ground
    if (nodeIds.includes(nodeId)) return this.#ground.signalNode(nodeId, signal)
    throw new RangeError(`no node ${nodeId}; there are: ${nodeIds.join(', ') || 'none'}`)
  }

  async awaitPosition(position: string, options: WaitOptions = {}): Promise<void> {
    const [service = '', partition = '', at = ''] = position.split(':')
    if (!/^\d+$/.test(at)) throw new RangeError(`'${position}' is no position of an answer`)
    if (!isArea(service)) throw new RangeError(`no service ${service}`)
    const { admin } = this.#operatorOf(service)
    await this.#until(`position ${position}`, options, async () => {
      const { partitions } = await admin.getStatus({ withDigest: false })
      const own = partitions.find(
        (one) => one.service === service && one.partition === Number(partition),
      )
      if (own === undefined) return { done: false, seen: 'the service is not here' }
      return { done: Number(own.position) >= Number(at), seen: `position ${own.position}` }
    })
  }

  async awaitJob(jobId: string, state: JobState, options: WaitOptions = {}): Promise<Job> {
    const { timeoutMs = WAIT_MS } = options
    const { timers } = this.#ground
    const stop = new AbortController()
    const timer = timers.after(timeoutMs, () => stop.abort())
    let last: Job | undefined
    try {
      const watch = { signal: stop.signal, giveUpMs: timeoutMs }
      for await (const job of this.client('admin').jobs.watch(jobId, watch)) {
        last = job
        if (job.state === Job_State[state]) return job
        if (isFinished(job)) throw new Error(`job ${jobId} ended as ${tell(job)}, not ${state}`)
      }
      throw new Error(`the watch of job ${jobId} ended`)
    } catch (error) {
      if (!stop.signal.aborted) throw error
      const seen = last === undefined ? 'nothing was seen of it' : `last seen: ${tell(last)}`
      throw new WaitTimeoutError(
        `job ${jobId} is not ${state} after ${timeoutMs} ms; ${seen}\n${await this.lastLines()}`,
      )
    } finally {
      timer.cancel()
    }
  }

  async *events(filter: EventFilter): AsyncGenerator<TestEvent> {
    const { area, types, key, signal, afterSeq = 0 } = filter
    const { timers } = this.#ground
    const stop = new AbortController()
    const leave = (): void => stop.abort()
    signal?.addEventListener('abort', leave, { once: true })
    const { feeds } = this.#operatorOf(area)
    const source = watchedEvents({ feeds, service: area, timers })
    let seq = afterSeq
    try {
      while (!stop.signal.aborted) {
        try {
          for await (const records of source.read({ seq, offset: -1 }, stop.signal)) {
            for (const { event } of records) {
              if (event === undefined || event.seq <= seq) continue
              seq = event.seq
              const name = event.type.split('.').at(-1) ?? ''
              if (types !== undefined && !types.includes(name)) continue
              if (key !== undefined && event.key !== key) continue
              yield { ...event, message: decodeEvent(event) }
            }
          }
        } catch (error) {
          if (stop.signal.aborted) return
          if (!isAway(error)) throw error
          await timers.sleep(AGAIN_AFTER_MS)
        }
      }
    } finally {
      signal?.removeEventListener('abort', leave)
      stop.abort()
    }
  }

  lastLines(): Promise<string> {
    return this.#ground.lastLines()
  }

  /** Closes the clients and ends pauses; the platform itself is its kind's to stop. */
  async release(): Promise<void> {
    const clients = [...this.#clients.values()]
    this.#clients.clear()
    await endAll([
      ...[...this.#paused].map((nodeId) => () => this.resumeNode(nodeId)),
      ...clients.map((client) => () => client.close()),
    ])
  }

  async #until(
    what: string,
    { timeoutMs = WAIT_MS }: WaitOptions,
    look: () => Promise<{ readonly done: boolean; readonly seen: string }>,
  ): Promise<void> {
    const { timers } = this.#ground
    let seen = ''
    for (let waitedMs = 0; waitedMs <= timeoutMs; waitedMs += LOOK_EVERY_MS) {
      const found = await look()
      if (found.done) return
      seen = found.seen
      await timers.sleep(LOOK_EVERY_MS)
    }
    throw new WaitTimeoutError(`${what} was not reached in ${timeoutMs} ms; last seen: ${seen}`)
  }
}
