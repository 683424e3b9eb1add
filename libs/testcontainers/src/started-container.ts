import type { NewQueue, PlatformClient } from '@serverless-ai/client'
import type { Job } from '@serverless-ai/contracts/job/v1/job'
import { servicesWithout } from '@serverless-ai/contracts/services'
import { systemTimers } from '@serverless-ai/kernel/system'
import {
  AbstractStartedContainer,
  type RestartOptions,
  type StartedTestContainer,
  type StopOptions,
  type StoppedTestContainer,
} from 'testcontainers'
import { endAfter } from './ending.ts'
import { type Ground, type NodeSignal, PlatformHandle } from './handle.ts'
import type {
  EventArea,
  EventFilter,
  Identity,
  JobState,
  TestEvent,
  TestPlatform,
  WaitOptions,
} from './platform.ts'

/** Data directory of the platform in its container. */
export const DATA = '/var/lib/serverless-ai'

/** Reads the record of a node in the container and signals what it names. */
const SIGNAL_SCRIPT = `
const [file, name, whom] = process.argv.slice(1)
const { pid, agentPid } = JSON.parse(require('node:fs').readFileSync(file, 'utf8'))
for (const one of whom === 'all' ? [agentPid, pid] : [pid]) {
  if (one === 0) continue
  try { process.kill(one, name) } catch (error) { if (error.code !== 'ESRCH') throw error }
}`

/** Ports in the container of each service: one for all, or those of its replicas. */
export type GrpcPorts = Readonly<Record<EventArea, readonly number[]>>

type Tokens = Readonly<Record<Identity, string>>

async function readTokens(container: StartedTestContainer): Promise<Tokens> {
  const { output, exitCode } = await container.exec(['cat', `${DATA}/tokens.json`])
  if (exitCode !== 0) throw new Error(`the tokens cannot be read: ${output}`)
  const { admin, tenants } = JSON.parse(output)
  return { admin, 'team-a': tenants['team-a'], 'team-b': tenants['team-b'] }
}

interface Init extends Pick<Ground, 'nodeIds' | 'retries' | 'without' | 'kafka'> {
  /** In the container. */
  readonly grpc: GrpcPorts
  readonly lines: readonly string[]
}

/** The container while it runs: a container of Testcontainers, and the platform in it. */
export class StartedServerlessAiContainer extends AbstractStartedContainer implements TestPlatform {
  readonly #container: StartedTestContainer
  readonly #init: Init
  #platform: PlatformHandle

  /** The platform in a container that has started; it is stopped when that fails. @internal */
  static async in(
    container: StartedTestContainer,
    init: Init,
  ): Promise<StartedServerlessAiContainer> {
    try {
      return new StartedServerlessAiContainer(container, init, await readTokens(container))
    } catch (error) {
      return endAfter(error, [() => container.stop()])
    }
  }

  private constructor(container: StartedTestContainer, init: Init, tokens: Tokens) {
    super(container)
    this.#container = container
    this.#init = init
    this.#platform = handleOf(container, init, tokens)
  }

  /** Clients of before are closed: ask for new ones, and for the addresses, which may be others. */
  override async restart(options?: Partial<RestartOptions>): Promise<void> {
    // Its processes end in any case: nodes that cannot be resumed are no loss.
    await this.#platform.release().catch(() => undefined)
    await super.restart(options)
    this.#platform = handleOf(this.#container, this.#init, await readTokens(this.#container))
  }

  getGrpcTarget(): string {
    return this.#platform.getGrpcTarget()
  }

  getToken(identity: Identity): string {
    return this.#platform.getToken(identity)
  }

  getEventTopic(area: EventArea): string {
    return this.#platform.getEventTopic(area)
  }

  getKafkaBootstrapServers(from?: 'host' | 'network'): string {
    return this.#platform.getKafkaBootstrapServers(from)
  }

  client(identity?: Identity): PlatformClient {
    return this.#platform.client(identity)
  }

  createQueue(queue?: Partial<Omit<NewQueue, 'name'>>): Promise<string> {
    return this.#platform.createQueue(queue)
  }

  nodeIds(): readonly string[] {
    return this.#platform.nodeIds()
  }

  failNode(nodeId: string): Promise<void> {
    return this.#platform.failNode(nodeId)
  }

  drainNode(nodeId: string): Promise<void> {
    return this.#platform.drainNode(nodeId)
  }

  pauseNode(nodeId: string): Promise<void> {
    return this.#platform.pauseNode(nodeId)
  }

  resumeNode(nodeId: string): Promise<void> {
    return this.#platform.resumeNode(nodeId)
  }

  awaitPosition(position: string, options?: WaitOptions): Promise<void> {
    return this.#platform.awaitPosition(position, options)
  }

  awaitJob(jobId: string, state: JobState, options?: WaitOptions): Promise<Job> {
    return this.#platform.awaitJob(jobId, state, options)
  }

  events(filter: EventFilter): AsyncIterable<TestEvent> {
    return this.#platform.events(filter)
  }

  lastLines(): Promise<string> {
    return this.#platform.lastLines()
  }

  override async stop(options?: Partial<StopOptions>): Promise<StoppedTestContainer> {
    const [released] = await Promise.allSettled([this.#platform.release()])
    const stopped = await super.stop(options)
    if (released.status === 'rejected') throw released.reason
    return stopped
  }
}

function handleOf(container: StartedTestContainer, init: Init, tokens: Tokens): PlatformHandle {
  const { grpc, lines, ...rest } = init
  const host = container.getHost()
  const addresses = (ports: readonly number[]): string =>
    [...new Set(ports)].map((port) => `${host}:${container.getMappedPort(port)}`).join(',')
  return new PlatformHandle({
    ...rest,
    target: addresses(servicesWithout(init.without).flatMap((area) => grpc[area])),
    targetOf: (area) => addresses(grpc[area]),
    topicPrefix: '',
    tokens,
    timers: systemTimers,
    signalNode: (nodeId, signal) => signalInside(container, nodeId, signal),
    lastLines: async () => lines.join('\n'),
  })
}

async function signalInside(
  container: StartedTestContainer,
  nodeId: string,
  { name, whom }: NodeSignal,
): Promise<void> {
  const file = `${DATA}/nodes/${nodeId}/supervisor.json`
  const args = [file, `SIG${name}`, whom]
  const { exitCode, output } = await container.exec(['node', '-e', SIGNAL_SCRIPT, ...args])
  if (exitCode !== 0) throw new Error(`node ${nodeId} cannot be signalled: ${output}`)
}
