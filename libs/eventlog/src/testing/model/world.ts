import type { SeededRandomness } from '@serverless-ai/kernel/testing'
import type { Broken } from './breakages.ts'
import { type Content, type Item, makeItem, type Result } from './content.ts'
import type { ServiceState } from './service-state.ts'
import { SnapshotShelf } from './shelf.ts'

/** Answer that a client got. */
export interface Acknowledged {
  readonly request: number
  readonly result: Result
  /** Position of the commit that holds it; -1 when there was none. */
  readonly position: number
  /** Highest position anybody had been told of when the request was first sent. */
  readonly startedAfter: number
}

/** State that somebody was shown: up to `next`, the first position not folded. */
export interface Shown {
  readonly what: string
  readonly next: number
  readonly digest: number
}

/** A public event in the topic. */
export interface TopicEvent {
  readonly seq: number
  readonly request: number
}

/** Where everything happens: the log, the topic, the network between, and what was observed. */
export class World {
  readonly random: SeededRandomness
  readonly broken: Broken
  /** The private log, trimmed records included; those below `start` are gone for readers. */
  readonly items: Item[] = []
  start = 0
  /** Sends that may still land. */
  readonly flying: Item[] = []
  /** The topic of public events. */
  readonly topic: TopicEvent[] = []
  topicStart = 0
  readonly publishing: { events: readonly TopicEvent[]; landed: () => void }[] = []
  readonly shelf: SnapshotShelf
  time = 1000
  faults = true
  #serial = 0
  #ids = 0
  highestTold = -1
  readonly acknowledged: Acknowledged[] = []
  readonly shown: Shown[] = []
  readonly performed = new Set<number>()
  /** Verdicts of all readers: position, effective. */
  readonly verdicts: { position: number; effective: boolean }[] = []

  constructor(random: SeededRandomness, broken: Broken) {
    this.random = random
    this.broken = broken
    this.shelf = new SnapshotShelf(broken.sharedSnapshotSlots === true)
  }

  get end(): number {
    return this.items.length
  }

  /** 31 random bits would do; counting makes failures readable. */
  newId(): number {
    this.#ids += 1
    return this.#ids
  }

  make(content: Content, place: { prev: Uint8Array; after: number; voided?: Uint8Array }): Item {
    this.#serial += 1
    return makeItem({ serial: this.#serial, content, ...place })
  }

  /** Sends to the private log: lands now, later, twice or never. */
  send(item: Item): void {
    if (!this.faults) {
      this.items.push(item)
      return
    }
    const fate = this.random.int(10)
    if (fate < 5) this.items.push(item)
    if (fate >= 4 && fate < 9) this.flying.push(item)
  }

  /** Lands one of the sends on their way, in any order; or loses it. */
  land(): void {
    if (this.flying.length === 0) return
    const index = this.random.int(this.flying.length)
    const [item] = this.flying.splice(index, 1)
    if (item !== undefined && !this.random.chance(0.15)) this.items.push(item)
  }

  /** Sends public events to the topic; `landed` is called when the publisher hears of it. */
  publish(events: readonly TopicEvent[], landed: () => void): void {
    const fate = this.faults ? this.random.int(10) : 0
    if (fate < 5) {
      this.topic.push(...events)
      landed()
    } else if (fate < 7) this.topic.push(...events)
    if (fate >= 6 && fate < 9) this.publishing.push({ events, landed })
  }

  /** Retention takes events away. */
  forgetTopic(): void {
    this.topicStart = Math.max(this.topicStart, this.topic.length - this.random.int(3))
  }

  /** Lands one of the publishes on their way. */
  landPublish(): void {
    if (this.publishing.length === 0) return
    const index = this.random.int(this.publishing.length)
    const [request] = this.publishing.splice(index, 1)
    if (request === undefined || this.random.chance(0.15)) return
    this.topic.push(...request.events)
    if (this.random.chance(0.7)) request.landed()
  }

  show(what: string, next: number, state: ServiceState): void {
    this.shown.push({ what, next, digest: state.digest })
  }

  /** Somebody was told of everything up to `position`. */
  told(position: number): void {
    if (position > this.highestTold) this.highestTold = position
  }
}
