import type { SeededRandomness } from '@serverless-ai/kernel/testing'
import type { Broken } from './breakages.ts'
import { LeaseLeader, type Placement } from './lease-leader.ts'
import { LeaseNode } from './lease-node.ts'
import { LEASE, LeaseTimeline, RunRecord } from './lease-world.ts'

const END = 1600
const HEARTBEAT_EVERY = 40

/**
 * One random history of leases: three nodes with clocks of their own, a task that must never run
 * twice at once, leaders that come, stand still, are fenced without knowing and go on as zombies,
 * and a network that loses, delays and repeats.
 */
export class LeaseHistory {
  readonly timeline = new LeaseTimeline()
  readonly random: SeededRandomness
  readonly nodes: readonly LeaseNode[]
  readonly record = new RunRecord()
  readonly #broken: Broken
  /** Nothing but clocks and kills takes time: the margins are all there is. */
  readonly #tight: boolean
  #placement: Placement = { generation: 0, node: -1, position: 0 }
  #leaders: LeaseLeader[] = []
  /** Epoch of the last claim in the log. */
  #epoch = 0

  constructor(random: SeededRandomness, broken: Broken) {
    this.random = random
    this.#broken = broken
    this.#tight = random.chance(0.25)
    const { timeline, record } = this
    this.nodes = [0, 1, 2].map((index) => {
      return new LeaseNode(index, { timeline, random, record, broken })
    })
  }

  /** A message on its way: lost, late, or twice. */
  deliver(arrive: () => void): void {
    if (this.random.chance(0.1)) return
    const copies = this.random.chance(0.1) ? 2 : 1
    for (let n = 0; n < copies; n += 1) {
      const late = this.random.chance(this.#tight ? 0.05 : 0.15)
      const delay = late ? this.random.int(4 * LEASE) : this.#short(15)
      this.timeline.at(this.timeline.now + delay, arrive)
    }
  }

  #short(most: number): number {
    return this.#tight ? 0 : this.random.int(most)
  }

  /**
   * A commit lands some time later; it is effective while no newer claim is in the log. `readBack`
   * is called only then.
   */
  append(
    leader: LeaseLeader,
    next: { generation: number; node: number } | undefined,
    readBack: (placement: Placement) => void,
  ): void {
    this.timeline.at(this.timeline.now + this.#short(10), () => {
      if (leader.epoch !== this.#epoch) return
      const position = this.#placement.position + 1
      this.#placement = { ...(next ?? this.#placement), position }
      const placement = this.#placement
      if (next !== undefined) this.record.placed(next.generation)
      this.timeline.at(this.timeline.now + this.#short(10), () => readBack(placement))
    })
  }

  /** Acceptance is a commit too: of a fenced leader it is void. */
  reportAccepted(leader: LeaseLeader, generation: number): void {
    if (leader.epoch === this.#epoch) this.record.accepted(generation)
  }

  /** Another replica claims; the old leader is dead, or stands still and does not know. */
  #change(): void {
    const old = this.#leaders.at(-1)
    if (old !== undefined && this.random.chance(0.5)) old.dead = true
    else if (old !== undefined) old.stoppedUntil = this.timeline.now + this.random.int(2 * LEASE)
    this.#epoch += 1
    const epoch = this.#epoch
    this.timeline.at(this.timeline.now + this.#short(20), () => {
      if (epoch !== this.#epoch) return
      const leader = new LeaseLeader(this, { epoch, view: this.#placement, broken: this.#broken })
      this.#leaders.push(leader)
    })
  }

  #heartbeats(node: LeaseNode): void {
    const { timeline, random } = this
    timeline.at(timeline.now + HEARTBEAT_EVERY * (0.8 + 0.4 * random.float()), () => {
      this.#heartbeats(node)
      if (timeline.now < node.stoppedUntil) return
      const sentLocal = node.local
      // An agent reaches whoever it last knew as the leader: not always the present one.
      const known = this.#leaders.slice(-2)
      if (known.length === 0) return
      const leader = random.chance(0.8) ? known.at(-1)! : known[0]!
      this.deliver(() => leader.heartbeat(node, sentLocal))
      const { generation } = node
      if (generation > 0) this.deliver(() => leader.report(generation))
    })
  }

  #turns(): void {
    this.timeline.at(this.timeline.now + (this.#tight ? 5 : 20), () => {
      for (const leader of this.#leaders.slice(-2)) leader.turn()
      this.#turns()
    })
  }

  #disturbances(): void {
    this.timeline.at(this.timeline.now + this.random.int(2 * LEASE), () => {
      this.#disturbances()
      const length = this.random.int(3 * LEASE)
      const what = this.random.int(4)
      if (what === 0) this.#change()
      else if (what === 1) {
        const leader = this.#leaders.at(-1)
        if (leader !== undefined) leader.stoppedUntil = this.timeline.now + length
      } else this.random.pick(this.nodes).stoppedUntil = this.timeline.now + length
    })
  }

  /** Throws PromiseBroken when the task runs twice at once, or when something old is accepted. */
  run(): void {
    this.#change()
    for (const node of this.nodes) this.#heartbeats(node)
    this.#turns()
    this.#disturbances()
    this.timeline.run(END)
  }
}
