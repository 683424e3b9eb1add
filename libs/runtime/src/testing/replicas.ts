/** Several replicas of a bank on one log, with health services that fail as machines do. */
import type { MemoryLogFaults } from '@serverless-ai/eventlog'
import type { Ports } from '@serverless-ai/kernel'
import type { RuntimeOptions } from '../context.ts'
import type { LeaderHealth, RuntimeEnvironment } from '../types.ts'
import { bank } from './bank.ts'
import type { BankDefinition, Process, World } from './world.ts'

/** What a process does for those who ask after its health. */
type Reachable = 'answers' | 'refuses' | 'silent'

/** A configured replica and the process that runs it now. */
export interface Replica extends Process {
  readonly name: string
  reachable: Reachable
}

/** How a set of replicas is made. */
export interface ReplicasOptions {
  readonly world: World
  /** Default `a`, `b`, `c`. */
  readonly names?: readonly string[]
  readonly definition?: BankDefinition
  readonly faults?: MemoryLogFaults
  readonly options?: RuntimeOptions
  /** Wall clock of a replica against the others, ms. Default 0. */
  readonly skewMs?: Readonly<Record<string, number>>
  /** Changes what a process is made of, to leave out a rule. */
  readonly wrap?: (environment: RuntimeEnvironment) => RuntimeEnvironment
}

export class Replicas {
  readonly world: World
  readonly names: readonly string[]
  readonly running = new Map<string, Replica>()
  /** Questions about health that were asked. */
  questions = 0
  /** What was asked for last. */
  claim = ''
  readonly #options: ReplicasOptions

  constructor(options: ReplicasOptions) {
    this.#options = options
    this.world = options.world
    this.names = options.names ?? ['a', 'b', 'c']
  }

  /** Addresses are names here. */
  readonly health: LeaderHealth = async (address, claim) => {
    this.questions += 1
    this.claim = claim
    const replica = this.running.get(address)
    if (replica === undefined || replica.reachable === 'refuses') return 'refused'
    if (replica.reachable === 'silent') return new Promise(() => {})
    return replica.runtime.serves(claim) === true ? 'serving' : 'not-serving'
  }

  #ports(name: string): Ports {
    const { ports } = this.world
    const skewMs = this.#options.skewMs?.[name] ?? 0
    const { clock } = ports
    return {
      ...ports,
      clock: {
        wallMs: () => clock.wallMs() + skewMs,
        monotonicMs: () => clock.monotonicMs(),
        bootMs: () => clock.bootMs(),
      },
    }
  }

  /** Starts the process of a replica; what it was before is gone. */
  boot(name: string): Replica {
    const { definition = bank(), faults, options, wrap } = this.#options
    const made = this.world.process(definition, {
      replica: name,
      ports: this.#ports(name),
      ...(faults === undefined ? {} : { faults }),
      ...(options === undefined ? {} : { options }),
      wrap: (environment) => {
        const own = { address: name, replicas: this.names, leaderHealth: this.health }
        const made = { ...environment, ...own }
        return wrap?.(made) ?? made
      },
    })
    const replica: Replica = { ...made, name, reachable: 'answers' }
    this.running.set(name, replica)
    replica.runtime.start().catch(() => {})
    return replica
  }

  /** All of them, one of them leading. */
  async started(): Promise<Replica> {
    for (const name of this.names) this.boot(name)
    await this.world.until(() => this.leaders().length === 1, 'one leads')
    return this.leaders()[0]!
  }

  /** As SIGKILL: its port refuses from now on. */
  kill({ name, log }: Replica): void {
    log.kill()
    this.running.delete(name)
  }

  /** Those that believe to lead, however long ago it was true. */
  leaders(): Replica[] {
    return [...this.running.values()].filter(({ runtime }) => runtime.status().role === 'Leading')
  }

  /** Passes time until another one leads. Returns the process and how long it took, ms. */
  async successor(of: Replica): Promise<{ replica: Replica; tookMs: number }> {
    const { time } = this.world
    const startMs = time.nowMs
    let next: Replica | undefined
    await this.world.until(() => {
      next = this.leaders().find((one) => one !== of)
      return next !== undefined
    }, `another one than ${of.name} leads`)
    return { replica: next!, tookMs: time.nowMs - startMs }
  }
}
