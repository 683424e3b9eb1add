/**
 * Random histories of a bank: several processes on one log, faults, kills, pauses, clients that
 * repeat their requests.
 */
import { eventsTopic, type MemoryLogFaults } from '@serverless-ai/eventlog'
import { invariant } from '@serverless-ai/kernel'
import { type SeededRandomness, seededRandomness } from '@serverless-ai/kernel/testing'
import type { Answer, LeaderHealth, RuntimeEnvironment } from '../types.ts'
import { type BankState, bank, isDull } from './bank.ts'
import { checkHistory, consume, type SeenRead, storyOf } from './history.ts'
import { checkRequest, commandOf, keyOf } from './requests.ts'
import { type BankDefinition, type Process, World } from './world.ts'

/** What a campaign makes. */
export interface CampaignOptions {
  readonly seed: number
  readonly requests: number
  readonly processes: number
  /** Chance of a kill, pause or resume per step of about 50 ms. */
  readonly chaos: number
  readonly faults: MemoryLogFaults
  /**
   * The processes are configured replicas with health services: they take turns by the rules.
   * Else each is alone as far as it knows, and they fight for the log.
   */
  readonly replicas?: boolean
  /** Wraps what a process is made of, to leave out a rule. */
  readonly change?: (definition: BankDefinition) => BankDefinition
}

/** Numbers of a history that held. */
export interface Outcome {
  /** Effective claims. */
  readonly leaders: number
  /**
   * How often a process dropped its state and folded again, but for a command that could not be
   * applied.
   */
  readonly reloads: number
}

export const CALM: MemoryLogFaults = {}
export const STORMY: MemoryLogFaults = {
  sendDelayMs: [0, 20],
  ackDelayMs: [0, 10],
  readDelayMs: [0, 10],
  lostShare: 0.08,
  unknownShare: 0.08,
  lateShare: 0.06,
  duplicateShare: 0.06,
  lateDelayMs: [1, 400],
  tornShare: 0.3,
}

const EVENTS = { topic: eventsTopic('bank'), partition: 0 }

interface Slot extends Process {
  readonly service: 'bank' | 'sink'
  readonly replica: string
  dead: boolean
  paused: boolean
  /** Nobody answers for it, not even with a refusal. */
  mute: boolean
}

/** A new leader within this time of the death or hang of the last one, ms: the log is fast then. */
const TAKEOVER_MS = 6000 + 8 * 5

/** One random history. */
class Campaign {
  readonly world: World
  readonly random: SeededRandomness
  readonly options: CampaignOptions
  readonly slots: Slot[] = []
  readonly answers = new Map<string, Answer>()
  readonly reads: SeenRead[] = []
  readonly performed = new Map<string, number>()
  /** Machines that are gone: no answer from there. */
  readonly #gone = new Set<string>()
  #names = 0
  #open = 0

  constructor(options: CampaignOptions) {
    this.options = options
    this.world = new World(options.seed)
    this.random = seededRandomness(options.seed ^ 0x5eed)
    // Any process that believes to lead may be asked for the bootstrap feed, a stale one too.
    this.world.serving = () => {
      const leaders = this.#leading()
      return leaders[this.random.int(leaders.length)]?.runtime
    }
  }

  definition(slot: () => Slot | undefined, service: 'bank' | 'sink' = 'bank'): BankDefinition {
    if (service === 'sink') return bank({ name: 'sink', other: 'bank' })
    const definition = bank({
      perform: async ({ payload }) => {
        const { to } = payload as { to: string }
        if (slot()?.dead === true) return new Promise(() => {})
        if (this.random.chance(0.3)) throw new Error('unreachable')
        await this.world.time.sleep(this.random.int(40))
        this.performed.set(to, (this.performed.get(to) ?? 0) + 1)
        return { type: 'Called', key: to }
      },
    })
    return this.options.change?.(definition) ?? definition
  }

  /** Processes of a service. */
  of(service: 'bank' | 'sink'): Slot[] {
    return this.slots.filter((slot) => slot.service === service)
  }

  /** Configured replicas keep their names, others have a new one each. */
  #name(service: 'bank' | 'sink'): string {
    this.#names += 1
    if (this.options.replicas !== true || service === 'sink') return `r${this.#names}`
    const used = new Set(this.of('bank').map(({ replica }) => replica))
    return this.#replicas().find((name) => !used.has(name)) ?? 'r0'
  }

  #replicas(): readonly string[] {
    return Array.from({ length: this.options.processes }, (_, index) => `r${index}`)
  }

  readonly #health: LeaderHealth = async (address, claim) => {
    const slot = this.of('bank').find(({ replica }) => replica === address)
    if (slot?.mute === true || (slot === undefined && this.#gone.has(address))) {
      return new Promise(() => {})
    }
    if (slot === undefined) return 'refused'
    await this.world.time.sleep(this.random.int(20))
    return slot.runtime.serves(claim) === true ? 'serving' : 'not-serving'
  }

  #environment(environment: RuntimeEnvironment): RuntimeEnvironment {
    if (this.options.replicas !== true) return environment
    const { replica } = environment
    const replicas = this.#replicas()
    return { ...environment, address: replica, replicas, leaderHealth: this.#health }
  }

  boot(service: 'bank' | 'sink'): void {
    const replica = this.#name(service)
    let slot: Slot | undefined
    const random = this.random.fork()
    const made = this.world.process(
      this.definition(() => slot, service),
      {
        replica,
        faults: { ...this.options.faults, randomness: random.fork() },
        options: { snapshotEveryCommits: 10 },
        ports: { ...this.world.ports, randomness: random },
        wrap: (environment) => (service === 'bank' ? this.#environment(environment) : environment),
      },
    )
    slot = { ...made, service, replica, dead: false, paused: false, mute: false }
    this.#gone.delete(replica)
    slot.runtime.start().catch(() => {})
    this.slots.push(slot)
  }

  kill(slot: Slot): void {
    slot.log.kill()
    slot.dead = true
    this.slots.splice(this.slots.indexOf(slot), 1)
    if (this.random.chance(0.5)) this.#gone.add(slot.replica)
  }

  /** A client: repeats its request until it is answered. */
  async request(index: number): Promise<void> {
    const { world, random } = this
    await world.time.sleep(random.int(3000))
    const key = keyOf(index)
    const command = commandOf(index)
    const request = world.request(key)
    for (;;) {
      const slot = random.pick(this.of('bank'))
      try {
        const limit = { ...request, timeoutMs: 2000 }
        const answer = await slot.runtime.execute(command, limit)
        {
          const first = this.answers.get(request.requestId) ?? answer
          invariant(first.position === answer.position, `P1: two answers for ${key}`)
          this.answers.set(request.requestId, first)
          // Some do not believe it and ask again.
          if (!random.chance(0.2)) return
        }
      } catch (error) {
        if (error instanceof Error && error.name === 'InvariantError') throw error
      }
      await world.time.sleep(20 + random.int(200))
    }
  }

  async look(): Promise<void> {
    const slot = this.random.pick(this.of('bank'))
    try {
      const query = { timeoutMs: 500 }
      await slot.runtime.read((state, { position }) => {
        this.reads.push({ position, events: state.events })
      }, query)
    } catch {
      // Not now.
    }
  }

  fill(): void {
    while (this.of('bank').length < this.options.processes) this.boot('bank')
    if (this.of('sink').length === 0) this.boot('sink')
  }

  step(): void {
    const { random, slots, world } = this
    void this.look()
    if (!random.chance(this.options.chaos)) return
    const slot = random.pick(slots)
    const what = random.int(5)
    if (what === 0) {
      this.kill(slot)
    } else if (what === 1) {
      // Nobody may rely on old public events being there.
      world.trim(EVENTS, random.int(3))
    } else if (what < 4) {
      slot.log.pause()
      slot.paused = true
      slot.mute = random.chance(0.5)
      this.world.time.after(random.int(6000), () => {
        slot.log.resume()
        slot.paused = false
        slot.mute = false
      })
    }
    // Configured replicas may be fewer for a while.
    if (this.options.replicas !== true || this.of('bank').length === 0) this.fill()
    else if (random.chance(0.5)) this.fill()
  }

  async run(): Promise<Outcome> {
    const { options, world } = this
    this.fill()
    let failure: unknown
    for (let i = 0; i < options.requests; i += 1) {
      this.#open += 1
      this.request(i).then(
        () => {
          this.#open -= 1
        },
        (error) => {
          failure ??= error
        },
      )
    }
    for (let i = 0; i < 200; i += 1) {
      this.step()
      await world.time.advance(25 + this.random.int(50))
    }
    // The faults end: everything has to complete, with one leader.
    for (const slot of this.slots) {
      slot.log.setFaults(undefined)
      slot.log.resume()
      slot.mute = false
    }
    this.fill()
    const settled = (): boolean =>
      this.of('bank').some(({ runtime }) => {
        const { role, unsettledEffects, publishedSeq, publicSeq } = runtime.status()
        return role === 'Leading' && unsettledEffects === 0 && publishedSeq === publicSeq
      })
    await world.until(
      () => failure !== undefined || (this.#open === 0 && settled()),
      `P7: all requests answered and all effects settled (${this.#open} open)`,
      120_000,
    )
    if (failure !== undefined) throw failure
    await world.time.advance(70_000)
    const outcome = await this.check()
    if (options.replicas === true) await this.#checkTakeover()
    return outcome
  }

  /** P7: nothing changes while nothing happens, and the death or hang of a leader is short. */
  async #checkTakeover(): Promise<void> {
    const { world, random } = this
    const claims = (): number => storyOf(world, bank()).leaders.length
    const before = claims()
    await world.time.advance(60_000)
    invariant(claims() === before, 'P7: the leader changes while nothing happens')
    const [leader] = this.#leading()
    invariant(leader !== undefined, 'P7: nobody leads')
    const kind = random.pick(['death', 'loss', 'hang'] as const)
    if (kind === 'death') this.kill(leader)
    else if (kind === 'hang') leader.log.pause()
    else {
      leader.log.kill()
      leader.mute = true
    }
    const startMs = world.time.nowMs
    await world.until(() => this.#leading().some((one) => one !== leader), 'P7: a next leader')
    const tookMs = world.time.nowMs - startMs
    invariant(tookMs <= TAKEOVER_MS, `P7: no leader for ${tookMs} ms after a ${kind}`)
  }

  #leading(): Slot[] {
    return this.of('bank').filter(({ runtime }) => runtime.status().role === 'Leading')
  }

  async check(): Promise<Outcome> {
    const { world, options } = this
    const definition = this.definition(() => undefined)
    const story = checkHistory(world, definition, this)
    const leading = this.#leading()
    invariant(leading.length === 1, `P7: ${leading.length} processes lead`)
    const full = story.state.digest()
    const tail = await world.fold(definition, { snapshots: true })
    invariant(tail.digest === full, 'P8: snapshot and tail differ from the full fold')
    for (const { runtime, replica } of this.of('bank')) {
      await world.run(runtime.read(() => 0, { minPosition: story.state.token }))
      const served = await world.run(runtime.digest())
      invariant(served.digest === full, `P2: ${replica} serves another state`)
    }
    const taken = consume(world, definition.name)
    invariant(taken.length === story.publics.length, 'P5: some public events are lost')
    for (let i = 0; i < options.requests; i += 1) checkRequest(i, story.state.core, this.performed)
    await this.#checkSink(story.state.core)
    const { lines } = world.ports.logger
    const reloads = lines.filter(
      ({ message, fields }) =>
        message === 'the state is folded again' && fields['why'] !== 'events could not be applied',
    ).length
    return { leaders: story.leaders.length, reloads }
  }

  /** The consumer knows of every account, and its own state is what its log says. */
  async #checkSink({ accounts }: BankState): Promise<void> {
    const { world } = this
    const [sink] = this.of('sink')
    const { value } = await world.run(sink!.runtime.read((state) => [...state.seen.keys()].sort()))
    const keys = [...accounts.keys()].filter((key) => !isDull({ key })).sort()
    invariant(value.join() === keys.join(), `P5: the consumer knows ${value}, not ${keys}`)
    const twice = await world.run(sink!.runtime.read((state) => state.repeated))
    invariant(twice.value === 0, `P5: the consumer took ${twice.value} inputs again`)
    const served = await world.run(sink!.runtime.digest())
    const folded = await world.fold(this.definition(() => undefined, 'sink'))
    invariant(served.digest === folded.digest, 'P2: the consumer serves another state')
  }
}

/** Makes and checks one random history; throws with the promise that is broken. */
export function runCampaign(options: CampaignOptions): Promise<Outcome> {
  return new Campaign(options).run()
}
