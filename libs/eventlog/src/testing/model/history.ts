import type { SeededRandomness } from '@serverless-ai/kernel/testing'
import { type Broken, promised } from './breakages.ts'
import { Consumer } from './consumer.ts'
import type { Content, Request } from './content.ts'
import { judgeDamage } from './damage.ts'
import { judge } from './judge.ts'
import { Replica } from './replica.ts'
import { FUTURE, WINDOW } from './service-state.ts'
import { World } from './world.ts'

const KEYS = 4
/** Rounds in which everything must complete once faults have stopped. */
const SETTLE_ROUNDS = 200

type Step = (history: History) => void

/**
 * Steps, each as often as its weight; `steady`: leaders get on, snapshots are made and the log is
 * trimmed.
 */
function menu(steady: boolean): readonly Step[] {
  const weighted: (readonly [number, Step])[] = [
    [12, (h) => h.running()?.read(1 + h.random.int(4))],
    [steady ? 20 : 4, (h) => h.getOn()],
    [8, (h) => h.ask()],
    [6, (h) => h.askAgain()],
    [8, (h) => h.leader()?.leadership?.commit('normal')],
    [1, (h) => h.leader()?.leadership?.commit('tick')],
    [1, (h) => h.leader()?.leadership?.commit('yield')],
    [3, (h) => h.leader()?.leadership?.resend()],
    [steady ? 1 : 4, (h) => h.running()?.claim()],
    [1, (h) => h.running()?.claimAgain()],
    [6, (h) => h.world.land()],
    [3, (h) => h.running()?.readState()],
    [steady ? 6 : 4, (h) => h.leader()?.leadership?.publisher.step()],
    [2, (h) => h.world.landPublish()],
    [3, (h) => h.consumer.poll(1 + h.random.int(3))],
    [2, (h) => h.bootstrap()],
    [2, (h) => h.leader()?.leadership?.performEffect()],
    [steady ? 5 : 2, (h) => h.running()?.beginSnapshot()],
    [steady ? 4 : 2, (h) => h.running()?.finishSnapshot()],
    [steady ? 5 : 2, (h) => h.leader()?.leadership?.verifySnapshot()],
    [steady ? 4 : 2, (h) => h.rarely()],
    [2, (h) => h.disturb()],
  ]
  return weighted.flatMap(([weight, step]) => new Array<Step>(weight).fill(step))
}

const STORMY = menu(false)
const STEADY = menu(true)

/** One random history: replicas, clients, a publisher and a consumer over one log. */
export class History {
  readonly world: World
  readonly random: SeededRandomness
  readonly #replicas: Replica[]
  readonly consumer: Consumer
  readonly #requests = new Map<number, Request>()
  /** When each request was first sent: what had been told by then. */
  readonly #startedAfter = new Map<number, number>()
  /**
   * An administrator voids a record, or the log is trimmed: a void below the log start is refused.
   */
  readonly #voids: boolean
  readonly #steps: readonly Step[]

  constructor(random: SeededRandomness, broken: Broken) {
    this.random = random
    this.world = new World(random, broken)
    this.#voids = broken.voidRemovesRecord === true || random.chance(0.1)
    // The third one has the name of the first: a process and its successor, or an operator's
    // mistake.
    const names = random.chance(0.3) ? ['a', 'b', 'a'] : ['a', 'b']
    this.#replicas = names.map((name) => new Replica(this.world, name))
    this.consumer = new Consumer(this.world)
    this.#steps = random.chance(0.3) ? STEADY : STORMY
  }

  /** What a replica does when nothing is in its way. */
  getOn(): void {
    const leader = this.leader()
    if (leader === undefined) {
      const candidate = this.running()
      candidate?.read(this.world.end)
      candidate?.claim()
      candidate?.read(this.world.end)
      return
    }
    leader.leadership?.commit('normal')
    leader.read(3)
  }

  running(): Replica | undefined {
    const replica = this.random.pick(this.#replicas)
    return replica.paused ? undefined : replica
  }

  leader(): Replica | undefined {
    const leaders = this.#replicas.filter((each) => each.leadership !== undefined && !each.paused)
    return leaders.length === 0 ? undefined : this.random.pick(leaders)
  }

  ask(): void {
    const id = this.world.newId()
    const skew = this.random.chance(0.3) ? 3 + this.random.int(FUTURE) : -this.random.int(10)
    const [key, on] = [this.random.int(KEYS), this.random.chance(0.6)]
    const request = { id, idTime: this.world.time + skew, key, on }
    this.#requests.set(id, request)
    this.#startedAfter.set(id, this.world.highestTold)
    this.#submit(request)
  }

  #submit(request: Request): void {
    // A client tries the replicas until one takes it.
    const first = this.random.int(this.#replicas.length)
    for (let n = 0; n < this.#replicas.length; n += 1) {
      const replica = this.#replicas[(first + n) % this.#replicas.length]!
      if (replica.paused || replica.leadership === undefined) continue
      replica.submit(request, this.#startedAfter.get(request.id) ?? -1)
      return
    }
  }

  askAgain(): void {
    if (this.#requests.size === 0) return
    const all = [...this.#requests.values()]
    // As a rule one of the last, as clients do; sometimes a forgotten one.
    const recent = this.random.chance(0.7) ? all.slice(-5) : all
    this.#submit(this.random.pick(recent))
  }

  bootstrap(): void {
    if (this.random.chance(0.5)) {
      const owner = this.running()
      if (owner !== undefined) this.consumer.pin(owner)
    } else this.consumer.swap()
  }

  rarely(): void {
    if (this.#voids) {
      if (this.random.chance(0.2)) this.#voidOne()
    } else this.leader()?.leadership?.trim()
    if (this.random.chance(0.2)) this.world.forgetTopic()
    if (this.random.chance(0.1)) this.consumer.crash()
  }

  #voidOne(): void {
    const { items, end } = this.world
    if (end === 0) return
    const position = this.random.int(end)
    const { meant, bytes } = items[position]!
    if (meant.is !== 'commit' || meant.body.events.length === 0) return
    const content: Content = { is: 'void', position }
    const place = { prev: new Uint8Array(0), after: -1, voided: bytes }
    this.world.send(this.world.make(content, place))
  }

  disturb(): void {
    const replica = this.random.pick(this.#replicas)
    const what = this.random.int(10)
    if (what < 3) replica.paused = !replica.paused
    else if (what < 6) replica.crash()
    else this.world.time += what < 8 ? this.random.int(20) : WINDOW + this.random.int(9)
  }

  /** Faults stop: one replica leads, everything completes. (P7) */
  #settle(): void {
    const { world } = this
    world.faults = false
    while (world.flying.length > 0) world.land()
    while (world.publishing.length > 0) world.landPublish()
    for (const replica of this.#replicas) replica.paused = false
    const settled = (): boolean => {
      const last = this.#replicas[0]!
      const { leadership, state } = last
      if (leadership === undefined || leadership.inFlight !== undefined) return false
      if (!leadership.publisher.idle || state.effects.size > 0) return false
      if (state.published.seq < state.publicSeq) return false
      return this.#replicas.every((each) => each.next === world.end)
    }
    for (let round = 0; !settled(); round += 1) {
      promised(round < SETTLE_ROUNDS, 'P7', () => 'does not come to rest without faults')
      this.#settleOnce()
    }
    for (const replica of this.#replicas) replica.readState()
    this.consumer.poll(world.topic.length)
    for (let n = 0; n < 3 && this.consumer.knowsOfGap; n += 1) {
      this.consumer.pin(this.#replicas[0]!)
      this.consumer.swap()
      this.consumer.poll(world.topic.length)
    }
    promised(!this.consumer.knowsOfGap, 'P7', () => 'the consumer does not catch up')
  }

  #settleOnce(): void {
    const [leader] = this.#replicas
    for (const replica of this.#replicas) replica.read(this.world.end)
    if (leader === undefined) return
    if (leader.leadership === undefined) leader.claimAgain()
    leader.leadership?.resend()
    leader.leadership?.publisher.step()
    leader.leadership?.performEffect()
    leader.leadership?.commit('normal')
  }

  /**
   * Runs `steps` random steps, lets everything settle and checks the promises. Throws
   * PromiseBroken.
   */
  run(steps: number): void {
    for (let n = 0; n < steps; n += 1) {
      if (this.random.chance(0.5)) this.world.time += 1
      this.random.pick(this.#steps)(this)
    }
    this.#settle()
    const { world, consumer } = this
    const meaning = judge({ world, requests: this.#requests, consumer })
    judgeDamage(world.items, meaning, this.random)
  }
}
