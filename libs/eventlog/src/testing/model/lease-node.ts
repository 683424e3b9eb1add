import type { SeededRandomness } from '@serverless-ai/kernel/testing'
import type { Broken } from './breakages.ts'
import {
  drawClock,
  KILL_BUDGET,
  LEASE,
  type LeaseTimeline,
  localAt,
  type RateClock,
  type RunRecord,
  trueAt,
} from './lease-world.ts'

/** The node's whole desired set at a place of the log; a lease where it answers a heartbeat. */
export interface Desired {
  readonly epoch: number
  readonly position: number
  /** Generation of the task that is to run here; 0 = none. */
  readonly generation: number
  /** Send time of the answered heartbeat by the node's own clock. */
  readonly heartbeat: number | undefined
}

interface Running {
  readonly generation: number
  killed: boolean
}

/** Agent and supervisor of one node. */
export class LeaseNode {
  readonly index: number
  readonly #timeline: LeaseTimeline
  readonly #random: SeededRandomness
  readonly #record: RunRecord
  readonly #broken: Broken
  readonly #clock: RateClock
  #leaseUntil = 0
  /** Highest place of the log that a message came from, journaled. */
  #seen = { epoch: 0, position: 0 }
  readonly #lapsed = new Set<number>()
  #running: Running | undefined
  /** The agent alone is stopped; its supervisor goes on. */
  stoppedUntil = 0

  constructor(
    index: number,
    world: {
      timeline: LeaseTimeline
      random: SeededRandomness
      record: RunRecord
      broken: Broken
    },
  ) {
    this.index = index
    this.#timeline = world.timeline
    this.#random = world.random
    this.#record = world.record
    this.#broken = world.broken
    this.#clock = drawClock(world.random)
  }

  get local(): number {
    return localAt(this.#clock, this.#timeline.now)
  }

  /** Generation that runs here; 0 = none. */
  get generation(): number {
    return this.#running?.generation ?? 0
  }

  receive(message: Desired): void {
    const { now } = this.#timeline
    if (now < this.stoppedUntil) {
      this.#timeline.at(this.stoppedUntil, () => this.receive(message))
      return
    }
    const { epoch, position } = message
    const older =
      epoch < this.#seen.epoch || (epoch === this.#seen.epoch && position < this.#seen.position)
    if (older && !this.#broken.delayedStart) return
    if (!older) this.#seen = { epoch, position }
    if (message.heartbeat !== undefined) this.#renew(message.heartbeat + LEASE)
    this.#apply(message.generation)
  }

  #renew(until: number): void {
    if (until <= this.#leaseUntil) return
    this.#leaseUntil = until
    this.#timeline.at(trueAt(this.#clock, until), () => this.#deadline(until))
  }

  /** The supervisor kills at the deadline on its own. */
  #deadline(until: number): void {
    if (until < this.#leaseUntil || this.#running === undefined) return
    this.#lapsed.add(this.#running.generation)
    this.#kill()
  }

  #kill(): void {
    const running = this.#running
    if (running === undefined || running.killed) return
    running.killed = true
    const share = this.#random.chance(0.3) ? 1 : this.#random.float()
    const gone = this.#timeline.now + share * KILL_BUDGET
    this.#timeline.at(gone, () => {
      this.#record.ended(this.index, running.generation, this.#timeline.now)
      if (this.#running === running) this.#running = undefined
    })
  }

  #apply(generation: number): void {
    const running = this.#running
    if (running !== undefined && running.generation !== generation) this.#kill()
    if (generation === 0 || running !== undefined) return
    if (this.local >= this.#leaseUntil || this.#lapsed.has(generation)) return
    this.#running = { generation, killed: false }
    this.#record.started(this.index, generation, this.#timeline.now)
  }
}
