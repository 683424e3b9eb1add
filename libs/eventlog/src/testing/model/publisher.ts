import type { Body, PublishedMark } from './content.ts'
import type { Replica } from './replica.ts'
import type { TopicEvent } from './world.ts'

interface Found extends TopicEvent {
  /** At the last event of a commit: the mark once everything up to it is published. */
  readonly mark: PublishedMark | undefined
}

interface Request {
  readonly events: readonly Found[]
}

/**
 * Republishes public events from the private log, from the mark on, in order, one request in
 * flight. It reads the log itself, with the place in the epoch that the mark carries, because the
 * events may be older than the snapshot its replica started from.
 */
export class Publisher {
  readonly #replica: Replica
  #position: number
  #epoch: number
  #nextSequence: number
  /** Effective public events that are not yet published. */
  #found: Found[] = []
  #outstanding: Request[] = []
  #done: PublishedMark | undefined
  /** The log no longer holds what is next: this is a zombie. */
  #ended = false

  constructor(replica: Replica) {
    this.#replica = replica
    const { position, epoch, nextSequence } = replica.state.published
    this.#position = position + 1
    this.#epoch = epoch
    this.#nextSequence = nextSequence
  }

  /** What the next commit says about it; undefined when there is no news. */
  get news(): PublishedMark | undefined {
    return this.#done
  }

  /** The mark was committed. */
  committed(mark: PublishedMark | undefined): void {
    if (mark !== undefined && mark === this.#done) this.#done = undefined
  }

  get idle(): boolean {
    return this.#outstanding.length === 0 && this.#found.length === 0
  }

  /** Reads on to where its replica stands. */
  #scan(): void {
    const { world, next } = this.#replica
    if (this.#position < Math.min(world.start, next)) {
      this.#ended = true
      return
    }
    for (; this.#position < next; this.#position += 1) {
      const { read } = world.items[this.#position]!
      if (read.is === 'claim' && read.epoch > this.#epoch) {
        this.#epoch = read.epoch
        this.#nextSequence = 0
      }
      if (read.is !== 'commit') continue
      if (read.epoch !== this.#epoch || read.sequence !== this.#nextSequence) continue
      this.#nextSequence += 1
      this.#find(read.body)
    }
  }

  #find({ seqs, events }: Body): void {
    seqs.forEach((seq, index) => {
      const { request } = events[index]!
      const [position, epoch, nextSequence] = [this.#position, this.#epoch, this.#nextSequence]
      const last = index === seqs.length - 1
      const mark = last ? { seq, position, epoch, nextSequence } : undefined
      this.#found.push({ seq, request, mark })
    })
  }

  /** Publishes the next events, or the outstanding ones again. */
  step(): void {
    const { world } = this.#replica
    if (this.#ended) return
    const many = world.broken.manyPublishes === true
    if (this.#outstanding.length === 0 || (many && world.random.chance(0.5))) {
      this.#scan()
      if (world.broken.publishInFlight) this.#takeInFlight()
      if (this.#ended || this.#found.length === 0) return
      this.#outstanding.push({ events: this.#found.splice(0, 1 + world.random.int(3)) })
      this.#send(this.#outstanding.at(-1)!)
      return
    }
    this.#send(this.#outstanding[0]!)
  }

  #send(request: Request): void {
    const { world } = this.#replica
    world.publish(request.events, () => this.#landed(request))
  }

  #landed(request: Request): void {
    const index = this.#outstanding.indexOf(request)
    if (index < 0) return
    this.#outstanding.splice(index, 1)
    for (const { mark } of request.events) {
      if (mark !== undefined && mark.seq > (this.#done?.seq ?? 0)) this.#done = mark
    }
  }

  /** Broken: events leave before their commit is effective. */
  #takeInFlight(): void {
    const flight = this.#replica.leadership?.inFlight
    const known = Math.max(0, ...this.#found.map((each) => each.seq))
    flight?.body.seqs.forEach((seq, index) => {
      const { request } = flight.body.events[index]!
      if (seq > known) this.#found.push({ seq, request, mark: undefined })
    })
  }
}
