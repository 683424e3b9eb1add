import { promised } from './breakages.ts'
import type { Replica } from './replica.ts'
import type { TopicEvent, World } from './world.ts'

/** Another service that consumes the public events by a mark of (seq, offset). */
export class Consumer {
  readonly #world: World
  seq = 0
  #offset = -1
  /** What it took since it last started from a snapshot. */
  readonly taken: TopicEvent[] = []
  /** Set while it knows that it missed something. */
  #missed = false
  #pinned: { seq: number; offset: number } | undefined

  constructor(world: World) {
    this.#world = world
  }

  /** True when it has seen that it missed events and has not caught up yet. */
  get knowsOfGap(): boolean {
    return this.#missed
  }

  /** Takes what the topic offers, at most `count` events. */
  poll(count: number): void {
    const { topic, topicStart, broken } = this.#world
    if (this.#missed) return
    const outside = this.#offset + 1 < topicStart || this.#offset >= topic.length
    // Also on an empty topic: what was in it is gone unseen.
    if (outside && !broken.markSeqOnly) {
      this.#missed = true
      return
    }
    if (outside) this.#offset = topicStart - 1
    for (let n = 0; n < count && this.#offset + 1 < topic.length; n += 1) {
      this.#offset += 1
      const event = topic[this.#offset]!
      if (event.seq > this.seq + 1) {
        this.#missed = true
        return
      }
      if (event.seq !== this.seq + 1) continue
      this.seq = event.seq
      this.taken.push(event)
    }
  }

  /**
   * First page of a bootstrap: pins the owner's position. The range of the topic is read before it.
   */
  pin(owner: Replica): void {
    if (!this.#missed || owner.leadership === undefined) return
    if (owner.leadership.inFlight !== undefined) return
    const offset = this.#world.topicStart - 1
    this.#pinned = { seq: owner.state.publicSeq, offset }
    this.#world.show('bootstrap', owner.next, owner.state)
  }

  /** Last page: the shadow state becomes the state. */
  swap(): void {
    if (this.#pinned === undefined) return
    promised(this.#missed, 'P5', () => 'a bootstrap without need')
    this.seq = this.#pinned.seq
    this.#offset = this.#pinned.offset
    this.taken.length = 0
    this.#missed = false
    this.#pinned = undefined
  }

  /** A crash in the middle starts the bootstrap over. */
  crash(): void {
    this.#pinned = undefined
  }
}
