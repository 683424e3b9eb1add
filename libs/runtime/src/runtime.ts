/** One partition of a service, as services see it. */
import { LogOutOfRangeError } from '@serverless-ai/eventlog'
import { type Message, type Ports, RpcError, type TraceContext } from '@serverless-ai/kernel'
import { type RuntimeContext, type RuntimeOptions, settingsOf } from './context.ts'
import { Feed, type FeedPage } from './feed.ts'
import { checkRaise, knownLevel, levelInUse } from './levels.ts'
import { Lifecycle } from './lifecycle.ts'
import { foldUpTo, PastNotKeptError } from './loader.ts'
import { LogClock } from './log-clock.ts'
import { type ReadOptions, Reads } from './reads.ts'
import { statusOf } from './status.ts'
import { submitCommand } from './submit.ts'
import { Traces } from './traces.ts'
import type {
  Answer,
  EffectiveChange,
  ExecuteOptions,
  PositionToken,
  PublicEvent,
  RuntimeEnvironment,
  RuntimeStatus,
  ServiceDefinition,
  ServiceRuntime,
  VoidOutcome,
  VoidRequest,
} from './types.ts'
import { voidRecord } from './voiding.ts'

/** Pasts folded at once by `readAt`; more wait their turn. */
const PASTS_AT_ONCE = 2

class PartitionRuntime<S, C extends Message, E extends Message> implements ServiceRuntime<S, C, E> {
  readonly service: string
  readonly partition: number
  readonly #life: Lifecycle<S, C, E>
  readonly #reads: Reads<S, C, E>
  readonly #feed: Feed<S, C, E>
  #pasts = 0

  constructor(context: RuntimeContext<S, C, E>) {
    this.service = context.definition.name
    this.partition = context.environment.partition
    const life = new Lifecycle(context)
    this.#life = life
    this.#reads = new Reads(context, {
      changed: life.changed,
      readable: () => life.readable(),
      markWanted: (source, seq) => life.session?.markWanted(source, seq),
    })
    this.#feed = new Feed(context, {
      withState: async (query) => {
        // Proof of leadership first: a consumer must not be taken back by an ex-leader that does
        // not know it yet.
        await this.confirm()
        return this.#reads.read(query)
      },
      publisher: () => life.session?.publisher,
      publicSeq: () => life.leading().state()?.framework.publicSeq,
    })
  }

  start(): Promise<void> {
    return this.#life.start()
  }

  async execute(command: C, options: ExecuteOptions = {}): Promise<Answer> {
    return submitCommand(this.#life.leading(), command, options)
  }

  async read<T>(
    query: (state: S, at: { position: number; token: PositionToken; atMs: number }) => T,
    options: ReadOptions = {},
  ): Promise<{ value: T; token: PositionToken }> {
    return this.#reads.read((state) => {
      const { token, effectivePosition: position } = state
      const atMs = state.framework.lastAtMs
      return { value: query(state.core, { position, token, atMs }), token }
    }, options)
  }

  async readAt<T>(
    position: number,
    query: (state: S, at: { position: number; atMs: number }) => T,
  ): Promise<T> {
    while (this.#pasts >= PASTS_AT_ONCE) await this.#life.changed.wait()
    this.#pasts += 1
    try {
      const voids = this.#life.state?.voids.toJson() ?? []
      const { context, address } = this.#life
      const state = await foldUpTo(context, address, { position, voids })
      return query(state.core, { position, atMs: state.framework.lastAtMs })
    } catch (error) {
      if (!(error instanceof LogOutOfRangeError || error instanceof PastNotKeptError)) throw error
      throw new RpcError({
        code: 'OUT_OF_RANGE',
        reason: 'POSITION_OUT_OF_RANGE',
        message: `${error.message}: that past is not kept, or not written yet`,
      })
    } finally {
      this.#pasts -= 1
      this.#life.changed.notify()
    }
  }

  async confirm(options: { readonly withinMs?: number } = {}): Promise<PositionToken> {
    const session = this.#life.leading()
    return new Promise((resolve, reject) => {
      session.submit({ kind: 'confirm', ...options, onConfirmed: resolve, onLost: reject })
    })
  }

  onEffective(listener: (change: EffectiveChange<S, E>) => void): () => void {
    return this.#life.observers.onEffective(listener)
  }

  onLeadership(listener: (leading: boolean, epoch: number) => void): () => void {
    return this.#life.observers.onLeadership(listener)
  }

  async feedSnapshot(request: {
    types: readonly string[]
    pageSize: number
    pageToken: string
  }): Promise<FeedPage> {
    return this.#feed.snapshot(request)
  }

  watchFeed(afterSeq: number, signal: AbortSignal): AsyncIterable<readonly PublicEvent[]> {
    return this.#feed.watch(afterSeq, signal)
  }

  serves(claim: string): boolean | undefined {
    return this.#life.serves(claim)
  }

  status(): RuntimeStatus {
    return statusOf(this.#life)
  }

  digest(): Promise<{ position: number; digest: string }> {
    return this.#reads.read((state) => ({
      position: state.effectivePosition,
      digest: state.digest(),
    }))
  }

  async snapshot(): Promise<string> {
    // Serialised inside the read, so that the state cannot go on meanwhile.
    const { written } = await this.#reads.read((state) => ({
      written: this.#life.snapshots.write(state),
    }))
    return written
  }

  async raiseFeatureLevel(
    level: number,
    options: { readonly validateOnly?: boolean } = {},
  ): Promise<{ inUse: number; token: PositionToken }> {
    // Proof of leadership first: what is refused rests on what is in the log.
    await this.confirm()
    const { inUse, token } = await this.#reads.read((state) => {
      return { inUse: levelInUse(state.framework), token: state.token }
    })
    checkRaise(this.service, { wanted: level, known: this.#life.context.level, inUse })
    if (options.validateOnly === true || level === inUse) return { inUse, token }
    const session = this.#life.leading()
    const fact = { type: 'FeatureLevelRaised', level } as const
    const raised = await new Promise<PositionToken>((resolve, reject) => {
      session.submit({ kind: 'fact', fact, onCommitted: resolve, onLost: reject })
    })
    return { inUse: level, token: raised }
  }

  voidRecord(request: VoidRequest): Promise<VoidOutcome> {
    return voidRecord(this.#life.context, this.#life.address, request)
  }

  traceOf(key: string): TraceContext | undefined {
    return this.#life.context.traces?.ofEntity(key)
  }

  stop(): Promise<void> {
    return this.#life.stop()
  }
}

/**
 * A runtime for one partition of a service. Throws RangeError for a service name or partition that
 * cannot be one, and for replicas that are not distinct or without this one.
 */
export function createRuntime<S, C extends Message, E extends Message>(
  definition: ServiceDefinition<S, C, E>,
  environment: RuntimeEnvironment,
  ports: Ports,
  options: RuntimeOptions = {},
): ServiceRuntime<S, C, E> {
  const { name } = definition
  const { partition } = environment
  if (!/^[a-z][a-z0-9-]{0,62}$/.test(name)) throw new RangeError(`not a service name: '${name}'`)
  if (!Number.isSafeInteger(partition) || partition < 0) {
    throw new RangeError(`not a partition: ${partition}`)
  }
  const { replica, replicas = [replica] } = environment
  if (!replicas.includes(replica) || new Set(replicas).size < replicas.length) {
    throw new RangeError(`not the replicas of '${replica}': ${replicas.join(', ')}`)
  }
  return new PartitionRuntime({
    definition,
    environment,
    ports,
    logger: ports.logger.child({ service: name, partition }),
    options: settingsOf(options),
    logClock: new LogClock(ports.clock),
    traces: ports.tracer && new Traces(ports.tracer, { service: name, partition }),
    level: knownLevel(definition),
  })
}
