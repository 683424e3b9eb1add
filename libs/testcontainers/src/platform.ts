import type { NewQueue, PlatformClient } from '@serverless-ai/client'
import type { DecodedEvent, PublicEvent } from '@serverless-ai/client/events'
import type { Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import type { OptionalService, ServiceName } from '@serverless-ai/contracts/services'

/** Name of a job's state. */
export type JobState = Exclude<keyof typeof Job_State, 'UNSPECIFIED' | 'UNRECOGNIZED'>

/** A service that owns public events. */
export type EventArea = ServiceName

/** What can be named to run; `gateway` is the edge: it has no public events of its own. */
export type TestService = ServiceName | OptionalService

/** Tenants that every started platform has; each has a token, none has a queue yet. */
export type TestTenant = 'team-a' | 'team-b'

/** Who calls. */
export type Identity = 'admin' | TestTenant

/** Devices of the nodes; they are emulated, the processes on them are real. */
export interface NodeShape {
  /** Model; it carries the prefix `emulated/`. Default `A100-40G`. */
  readonly gpu?: string
  /** Devices of each node, 0 to 16. Default 2. */
  readonly count?: number
  /** Memory of each device, MiB. Default 40,960. */
  readonly memoryMib?: number
}

/** Which public events. */
export interface EventFilter {
  readonly area: EventArea
  /** Short names, for example `GangPlaced`. Default: all. */
  readonly types?: readonly string[]
  /** Entity id, for example a job id. Default: all. */
  readonly key?: string
  /** Begin after this number; 0 (default) = with the first one. */
  readonly afterSeq?: number
  /** Ends the events. */
  readonly signal?: AbortSignal
}

/** A public event; `message` is absent for types that this version does not know. */
export interface TestEvent extends PublicEvent {
  readonly message: DecodedEvent | undefined
}

/** How long to wait. */
export interface WaitOptions {
  /** ms. Default 60,000. */
  readonly timeoutMs?: number
}

/** A platform that runs, in a container or in this process: both can do the same. */
export interface TestPlatform extends AsyncDisposable {
  /** gRPC `host:port`, or several with commas between: all services answer there. */
  getGrpcTarget(): string
  /** Bearer token of somebody. */
  getToken(identity: Identity): string
  /** Topic of a service's public events, where the platform runs on Kafka. */
  getEventTopic(area: EventArea): string
  /**
   * `host:port` of the brokers, for clients on this machine or for containers of the network.
   * @throws Error where the log is embedded, or where nobody said how this machine reaches them
   */
  getKafkaBootstrapServers(from?: 'host' | 'network'): string
  /** A client; one per identity, closed with the platform. */
  client(identity?: Identity): PlatformClient
  /** Makes a queue with a name of its own, so that tests do not meet; returns the name. */
  createQueue(queue?: Partial<Omit<NewQueue, 'name'>>): Promise<string>
  /** Ids of the nodes. */
  nodeIds(): readonly string[]
  /**
   * Kills a node with all that runs on it, as a power cut does. It comes back by itself within
   * seconds; its tasks do not.
   */
  failNode(nodeId: string): Promise<void>
  /**
   * Ends a node in order: its tasks get SIGTERM and 3 s, and their jobs go on elsewhere without
   * using up their restarts. It comes back by itself within seconds.
   */
  drainNode(nodeId: string): Promise<void>
  /**
   * Supervisor and agent of a node hang: it is lost 1.1 leases + 5 s later, and its jobs go on
   * elsewhere. Its tasks run on, as they would.
   */
  pauseNode(nodeId: string): Promise<void>
  /** Ends `pauseNode`; what still runs of an older generation is ended by the node. */
  resumeNode(nodeId: string): Promise<void>
  /** Waits until the service has committed up to a position (as answers carry it). */
  awaitPosition(position: string, options?: WaitOptions): Promise<void>
  /**
   * Waits until the job is in the state; rejects when it ends in another one. A state that lasts
   * shorter than a message takes may be missed, an end never.
   */
  awaitJob(jobId: string, state: JobState, options?: WaitOptions): Promise<Job>
  /** Public events, in their order, each once; without an end. Leave the loop, or give a signal. */
  events(filter: EventFilter): AsyncIterable<TestEvent>
  /** The newest lines that the platform wrote, for messages of tests. */
  lastLines(): Promise<string>
}

/** What starts a platform: the same words for the container and for the one in this process. */
export interface PlatformBuilder<Started extends TestPlatform> {
  /** Default: 3 nodes with 2 devices each. */
  withNodes(count: number, shape?: NodeShape): this
  /** Keys of the configuration of `npm start -- --help`, for example `{ leaseMs: 2_000 }`. */
  withConfig(config: Readonly<Record<string, unknown>>): this
  /**
   * Only these services, what they need, and the four that all need: mediator, scheduler,
   * pool-manager, fault-tolerance. Default: all.
   * @throws RangeError for a name that is none
   */
  withServices(services: readonly TestService[]): this
  /**
   * The token of somebody. Default: one by chance.
   * @param token at least 16 characters without spaces, another one for each identity
   * @throws RangeError
   */
  withAuthToken(identity: Identity, token: string): this
  /** No snapshots are kept or used: each start of a service folds its whole log. */
  withReplayAlways(): this
  /** Everything that the platform writes is in memory: faster, and gone with it. */
  withTmpfs(): this
  /** Time is that of the machine (default). Virtual time: `ServerlessAiTwin`. */
  withClock(clock: 'real'): PlatformBuilder<TestPlatform>
  /** Clients make one attempt, so that a test sees each error. Default: they try again. */
  withRetriesDisabled(): this
  start(): Promise<Started>
}
