import type { AnswerContent, Body, Content, Item, Request, Switched } from './content.ts'
import { Publisher } from './publisher.ts'
import type { Replica } from './replica.ts'
import type { ServiceState } from './service-state.ts'

type Commit = Extract<Content, { is: 'commit' }>

interface Asked {
  readonly request: Request
  readonly startedAfter: number
}

interface Flight {
  readonly commitId: number
  readonly sequence: number
  item: Item
  /** State with the events of the batch: what is decided next stands on it. */
  after: ServiceState
  asked: Asked[]
  answers: AnswerContent[]
  body: Body
}

const TOLD_NOTHING = -1

/**
 * What a replica does while it leads one epoch. Ends with the object: it is dropped whole when the
 * replica is fenced.
 */
export class Leadership {
  readonly #replica: Replica
  readonly #epoch: number
  inFlight: Flight | undefined
  #mailbox: Asked[] = []
  #readsWaiting = 0
  readonly publisher: Publisher
  readonly #settling: number[] = []
  readonly #called = new Set<number>()
  #verifying: number[] = []
  /** A yield is on its way: nothing more is begun. */
  #leaving = false

  constructor(replica: Replica, epoch: number) {
    this.#replica = replica
    this.#epoch = epoch
    this.publisher = new Publisher(replica)
  }

  /**
   * True for the commit in flight: the only effective commit of this epoch that may be read while
   * leading.
   */
  owns(commit: Commit): boolean {
    return commit.epoch === this.#epoch && commit.commitId === this.inFlight?.commitId
  }

  submit(request: Request, startedAfter: number): void {
    const { state, world } = this.#replica
    const asked = { request, startedAfter }
    const kept = state.answers.get(request.id)
    if (kept !== undefined) {
      this.#acknowledge(asked, { result: kept.result, position: kept.position })
      return
    }
    const { inFlight } = this
    const flying = inFlight?.answers.find((each) => each.request === request.id)
    if (world.broken.answerFromInFlight && flying !== undefined) {
      this.#acknowledge(asked, { result: flying.result, position: TOLD_NOTHING })
      return
    }
    if (world.broken.refuseWithoutCommit && inFlight === undefined) {
      const result = state.decide(request, this.#now())
      if (result === 'no') {
        this.#acknowledge(asked, { result, position: TOLD_NOTHING })
        return
      }
    }
    if (this.#mailbox.length < 6) this.#mailbox.push(asked)
  }

  #acknowledge(
    { request, startedAfter }: Asked,
    answer: { result: AnswerContent['result']; position: number },
  ): void {
    const { world } = this.#replica
    world.acknowledged.push({ request: request.id, startedAfter, ...answer })
    world.told(answer.position)
  }

  #now(): number {
    return Math.max(this.#replica.world.time, this.#replica.state.at)
  }

  /** Begins a commit, unless one is in flight. */
  commit(kind: Body['kind']): void {
    const { world } = this.#replica
    if (this.#leaving) return
    if (this.inFlight !== undefined) {
      if (kind === 'yield' && world.broken.yieldInFlight) this.#yieldBehind()
      else if (kind === 'normal' && world.broken.reuseSequence) this.#fillUp()
      return
    }
    if (kind === 'normal' && !this.#hasWork()) return
    if (kind === 'yield') this.#leaving = true
    const batch = kind === 'normal' ? this.#mailbox.splice(0, 1 + world.random.int(3)) : []
    this.#send(world.newId(), batch, kind)
  }

  #hasWork(): boolean {
    return (
      this.#mailbox.length > 0 ||
      this.#settling.length > 0 ||
      this.#verifying.length > 0 ||
      this.publisher.news !== undefined
    )
  }

  #send(commitId: number, batch: readonly Asked[], kind: Body['kind']): void {
    const { arbitration, state, world } = this.#replica
    const at = this.#now()
    const after = state.clone()
    const answers: AnswerContent[] = []
    const events: Switched[] = []
    const asked: Asked[] = []
    for (const each of batch) {
      asked.push(each)
      const { request } = each
      const { id, idTime, key, on } = request
      if (after.answers.has(id) || answers.some((answer) => answer.request === id)) continue
      const result = after.decide(request, at)
      answers.push({ request: id, idTime, result })
      if (result !== 'ok') continue
      const event = { request: id, key, on }
      after.evolve(event)
      events.push(event)
    }
    const body = this.#body(kind, at, answers, events)
    const sequence = arbitration.nextSequence
    const content: Content = { is: 'commit', epoch: this.#epoch, sequence, commitId, body }
    const place = { prev: arbitration.chain, after: this.#replica.lastEffective }
    const item = world.make(content, place)
    this.inFlight = { commitId, sequence, item, after, asked, answers, body }
    world.send(item)
  }

  #body(kind: Body['kind'], at: number, answers: AnswerContent[], events: Switched[]): Body {
    const { publicSeq } = this.#replica.state
    const facts =
      kind === 'normal'
        ? { settled: [...this.#settling], published: this.publisher.news }
        : { settled: [], published: undefined }
    const seqs = events.map((_, index) => publicSeq + 1 + index)
    const verified = kind === 'normal' ? this.#verifying : []
    return { kind, at, answers, events, seqs, ...facts, verified }
  }

  /** The outcome of the send is unknown: the same bytes again. */
  resend(): void {
    if (this.inFlight !== undefined) this.#replica.world.send(this.inFlight.item)
  }

  /** Broken: a yield is sent while a commit is in flight. */
  #yieldBehind(): void {
    const { arbitration, world, state, lastEffective } = this.#replica
    this.#leaving = true
    const body: Body = {
      kind: 'yield',
      at: state.at,
      answers: [],
      events: [],
      seqs: [],
      settled: [],
      published: undefined,
      verified: [],
    }
    const sequence = arbitration.nextSequence + 1
    const commitId = world.newId()
    const content: Content = { is: 'commit', epoch: this.#epoch, sequence, commitId, body }
    world.send(world.make(content, { prev: arbitration.chain, after: lastEffective }))
  }

  /** Broken: after an unknown outcome the sequence is used again with more in it. */
  #fillUp(): void {
    const { inFlight } = this
    if (inFlight === undefined || this.#mailbox.length === 0) return
    const batch = [...inFlight.asked, ...this.#mailbox.splice(0, 3)]
    this.#send(inFlight.commitId, batch, 'normal')
  }

  /**
   * The commit in flight was read at `position`: it is effective, and everything that waited for it
   * goes out.
   */
  readBack(position: number): void {
    const flight = this.inFlight
    const { world } = this.#replica
    if (flight === undefined) this.#replica.impossible('read back without a commit in flight')
    const pruneByCommitTime = world.broken.pruneByCommitTime === true
    flight.after.fold(flight.body, position, { skip: false, pruneByCommitTime, evolved: true })
    this.#replica.state = flight.after
    this.inFlight = undefined
    this.#release(flight, position)
    for (const request of flight.body.settled) this.#forget(this.#settling, request)
    this.#verifying = this.#verifying.filter((next) => !flight.body.verified.includes(next))
    this.publisher.committed(flight.body.published)
    for (; this.#readsWaiting > 0; this.#readsWaiting -= 1) this.readState()
    if (flight.body.kind === 'yield') {
      this.#replica.leadership = undefined
      this.#replica.claimId = 0
    }
  }

  #release(flight: Flight, position: number): void {
    for (const asked of flight.asked) {
      const { id } = asked.request
      const answer = flight.answers.find((each) => each.request === id)
      const kept = this.#replica.state.answers.get(id)
      if (answer !== undefined) this.#acknowledge(asked, { result: answer.result, position })
      else if (kept !== undefined) {
        this.#acknowledge(asked, { result: kept.result, position: kept.position })
      }
    }
  }

  #forget(list: number[], value: number): void {
    const index = list.indexOf(value)
    if (index >= 0) list.splice(index, 1)
  }

  readState(): void {
    const { world, state, next } = this.#replica
    if (this.inFlight === undefined) {
      world.show('leader read', next, state)
      world.told(next - 1)
    } else if (world.broken.readsInFlight) {
      world.show('leader read', next + 1, this.inFlight.after)
    } else this.#readsWaiting += 1
  }

  /** Performs an effect of the effective state; its outcome is committed later. */
  performEffect(): void {
    for (const request of this.#replica.state.effects) {
      if (this.#called.has(request)) continue
      this.#called.add(request)
      this.#replica.world.performed.add(request)
      this.#settling.push(request)
      return
    }
  }

  /** Checks a snapshot that this replica did not write and says so in the log. */
  verifySnapshot(): void {
    const { world, state, next } = this.#replica
    const known = new Set([...state.verified, ...this.#verifying])
    const found = world.shelf.whole().find((each) => each.next <= next && !known.has(each.next))
    if (found !== undefined) this.#verifying.push(found.next)
  }

  /**
   * Trims the log below what the second newest verified snapshot and the publisher need; keeps two
   * snapshots.
   */
  trim(): void {
    const { world, state } = this.#replica
    const second = state.verified[1]
    if (second === undefined) return
    const published = world.broken.trimIgnoresPublisher
      ? Number.POSITIVE_INFINITY
      : state.published.position + 1
    world.start = Math.max(world.start, Math.min(second, published))
    world.shelf.removeBelow(second)
  }
}
