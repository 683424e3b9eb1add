/** Random histories of a bank: several processes on one log, faults, kills, pauses, clients that repeat their requests. */
import type { MemoryLogFaults } from '@serverless-ai/eventlog'
import { invariant } from '@serverless-ai/kernel'
import { type SeededRandomness, seededRandomness } from '@serverless-ai/kernel/testing'
import type { Answer } from '../types.ts'
import { type BankCommand, bank } from './bank.ts'
import { checkHistory, consume, type SeenRead } from './history.ts'
import { type BankDefinition, type Process, World } from './world.ts'

/** What a campaign makes. */
export interface CampaignOptions {
  readonly seed: number
  readonly requests: number
  readonly processes: number
  /** Chance of a kill, pause or resume per step of about 50 ms. */
  readonly chaos: number
  readonly faults: MemoryLogFaults
  /** Wraps what a process is made of, to leave out a rule. */
  readonly change?: (definition: BankDefinition) => BankDefinition
}

/** Numbers of a history that held. */
export interface Outcome {
  /** Effective claims. */
  readonly leaders: number
  /** How often a process dropped its state and folded again. */
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

interface Slot extends Process {
  dead: boolean
  paused: boolean
}

/** One random history. */
class Campaign {
  readonly world: World
  readonly random: SeededRandomness
  readonly options: CampaignOptions
  readonly slots: Slot[] = []
  readonly answers = new Map<string, Answer>()
  readonly reads: SeenRead[] = []
  readonly performed = new Map<string, number>()
  #names = 0
  #open = 0

  constructor(options: CampaignOptions) {
    this.options = options
    this.world = new World(options.seed)
    this.random = seededRandomness(options.seed ^ 0x5eed)
  }

  definition(slot: () => Slot | undefined): BankDefinition {
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

  boot(): void {
    this.#names += 1
    let slot: Slot | undefined
    const random = this.random.fork()
    const made = this.world.process(
      this.definition(() => slot),
      {
        replica: `r${this.#names}`,
        faults: { ...this.options.faults, randomness: random.fork() },
        options: { snapshotEveryCommits: 10 },
        ports: { ...this.world.ports, randomness: random },
      },
    )
    slot = { ...made, dead: false, paused: false }
    slot.runtime.start().catch(() => {})
    this.slots.push(slot)
  }

  kill(slot: Slot): void {
    slot.log.kill()
    slot.dead = true
    this.slots.splice(this.slots.indexOf(slot), 1)
  }

  /** A client: repeats its request until it is answered. */
  async request(index: number): Promise<void> {
    const { world, random } = this
    await world.time.sleep(random.int(3000))
    const key = `k${index}`
    const command: BankCommand =
      index % 5 === 0 ? { type: 'Call', key } : { type: 'Add', key, n: 1 }
    const request = world.request(key)
    for (;;) {
      const slot = this.slots[random.int(this.slots.length)]
      try {
        const limit = { ...request, timeoutMs: 2000 }
        const answer = await slot?.runtime.execute(command, limit)
        if (answer !== undefined) {
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
    const slot = this.slots[this.random.int(this.slots.length)]
    try {
      const query = { timeoutMs: 500 }
      await slot?.runtime.read((state, { position }) => {
        this.reads.push({ position, events: state.events })
      }, query)
    } catch {
      // Not now.
    }
  }

  step(): void {
    const { random, slots } = this
    void this.look()
    if (!random.chance(this.options.chaos)) return
    const slot = random.pick(slots)
    const what = random.int(4)
    if (what === 0) {
      this.kill(slot)
    } else if (what < 3) {
      slot.log.pause()
      slot.paused = true
      this.world.time.after(random.int(6000), () => {
        slot.log.resume()
        slot.paused = false
      })
    }
    while (slots.length < this.options.processes) this.boot()
  }

  async run(): Promise<Outcome> {
    const { options, world } = this
    while (this.slots.length < options.processes) this.boot()
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
    }
    const settled = (): boolean =>
      this.slots.some(({ runtime }) => {
        const { role, unsettledEffects, publishedSeq, publicSeq } = runtime.status()
        return role === 'Leading' && unsettledEffects === 0 && publishedSeq === publicSeq
      })
    await world.until(
      () => failure !== undefined || (this.#open === 0 && settled()),
      `P7: all requests answered and all effects settled (${this.#open} open)`,
      120_000,
    )
    if (failure !== undefined) throw failure
    await world.time.advance(10_000)
    return this.check()
  }

  async check(): Promise<Outcome> {
    const { world, options } = this
    const definition = this.definition(() => undefined)
    const story = checkHistory(world, definition, this)
    const leading = this.slots.filter(({ runtime }) => runtime.status().role === 'Leading')
    invariant(leading.length === 1, `P7: ${leading.length} processes lead`)
    const full = story.state.digest()
    const tail = await world.fold(definition, { snapshots: true })
    invariant(tail.digest === full, 'P8: snapshot and tail differ from the full fold')
    const served = await world.run(leading[0]!.runtime.digest())
    invariant(served.digest === full, 'P2: the leader serves another state')
    for (let i = 0; i < options.requests; i += 1) {
      const key = `k${i}`
      const { calls, accounts } = story.state.core
      const count = (what: string): number => calls.filter((one) => one === `${what} ${key}`).length
      if (i % 5 !== 0) invariant(accounts.get(key) === 1, `P1: ${key} is ${accounts.get(key)}`)
      else {
        invariant(count('start') === 1 && count('end') === 1, `P9: ${key} is not settled once`)
        invariant((this.performed.get(key) ?? 0) >= 1, `P9: ${key} was never performed`)
      }
    }
    invariant(consume(world, definition.name).length === story.publics.length, 'P5: some are lost')
    const { lines } = world.ports.logger
    const reloads = lines.filter(({ message }) => message === 'the state is folded again').length
    return { leaders: story.leaders.length, reloads }
  }
}

/** Makes and checks one random history; throws with the promise that is broken. */
export function runCampaign(options: CampaignOptions): Promise<Outcome> {
  return new Campaign(options).run()
}
