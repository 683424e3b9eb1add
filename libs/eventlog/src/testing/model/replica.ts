import { type ArbitrationState, initialArbitration } from '../../arbitration.ts'
import { VoidList } from '../../voids.ts'
import { type Arbiter, arbiterFor } from './arbiter.ts'
import { PromiseBroken, promised } from './breakages.ts'
import type { Content, Item, Request } from './content.ts'
import { Leadership } from './leadership.ts'
import { ServiceState } from './service-state.ts'
import { arbitrationOf, type ModelSnapshot } from './shelf.ts'
import type { World } from './world.ts'

type Claim = Extract<Content, { is: 'claim' }>
type Commit = Extract<Content, { is: 'commit' }>

/**
 * A process that reads the log, folds it and may lead. What it holds in memory is lost in a crash.
 */
export class Replica {
  readonly world: World
  readonly name: string
  paused = false
  /** Position to read next. */
  next = 0
  arbitration: ArbitrationState = initialArbitration
  state = new ServiceState()
  /** Serial of the last effective record folded. */
  lastEffective = 0
  voids = new VoidList()
  /**
   * It knows voids up to here: until it has folded that far its state is of no point in time, and
   * is shown to nobody.
   */
  #unfit = 0
  /** Id of the outstanding claim or of the one it leads by; 0 = none. */
  claimId = 0
  claimEpoch = 0
  leadership: Leadership | undefined
  writing: ModelSnapshot | undefined
  readonly #arbiter: Arbiter
  #reloadedAt = new Set<string>()

  constructor(world: World, name: string) {
    this.world = world
    this.name = name
    this.#arbiter = arbiterFor(world.broken)
  }

  /** Reads up to `count` records. */
  read(count: number): void {
    for (let n = 0; n < count && this.next < this.world.end; n += 1) {
      if (this.next < this.world.start) {
        this.#outOfRange()
        continue
      }
      this.#take(this.world.items[this.next]!)
    }
  }

  #outOfRange(): void {
    if (this.world.broken.silentReset) this.next = this.world.start
    else this.reload(`trimmed ${this.world.start}`)
  }

  #take(item: Item): void {
    const position = this.next
    const voided = this.voids.skips(position, item.bytes)
    const { verdict, state, reason } = this.#arbiter(this.arbitration, item, voided)
    promised(verdict !== 'damaged', 'P10', () => `a healthy log looks damaged: ${reason}`)
    const effective = verdict === 'effective'
    this.world.verdicts.push({ position, effective })
    if (!effective) {
      this.next += 1
      return
    }
    const { read } = item
    if (read.is === 'void') this.#takeVoid(item, position)
    else if (read.is === 'claim') this.#takeClaim(read, state, item)
    else this.#takeCommit(read, state, item, voided)
  }

  #takeClaim(claim: Claim, after: ArbitrationState, item: Item): void {
    const byName = this.world.broken.claimByName === true
    const mine = byName ? claim.name === this.name : claim.claimId === this.claimId
    if (this.leadership !== undefined) {
      this.reload(`fenced at ${this.next}`)
      return
    }
    this.#step(after, item)
    if (mine) this.leadership = new Leadership(this, claim.epoch)
    // Somebody else opened the epoch: the own claim can only be void.
    else if (claim.epoch >= this.claimEpoch) this.claimId = 0
  }

  #takeCommit(commit: Commit, after: ArbitrationState, item: Item, voided: boolean): void {
    const { leadership } = this
    if (leadership !== undefined) {
      if (!leadership.owns(commit)) {
        this.reload(`fenced at ${this.next}`)
        return
      }
      const position = this.next
      this.#step(after, item)
      leadership.readBack(position)
      return
    }
    const skip = voided && !this.world.broken.voidRemovesRecord
    const pruneByCommitTime = this.world.broken.pruneByCommitTime === true
    this.state.fold(commit.body, this.next, { skip, pruneByCommitTime })
    this.#step(after, item)
  }

  #step(after: ArbitrationState, item: Item): void {
    this.arbitration = after
    this.lastEffective = item.serial
    this.next += 1
  }

  /** A void of a record that is folded already: fold again from before it. */
  #takeVoid(item: Item, position: number): void {
    const body = item.record.body
    if (body?.$case !== 'void') return
    const isNew = this.voids.add(body.value)
    const voided = Number(body.value.position)
    this.#unfit = Math.max(this.#unfit, position + 1)
    if (isNew && voided < position) {
      this.reload(`void at ${position}`)
      return
    }
    this.state.verified = this.state.verified.filter((next) => next <= voided)
    this.next += 1
  }

  /** Drops the state and folds again from a snapshot or from the start. */
  reload(why: string): void {
    promised(!this.#reloadedAt.has(why), 'P10', () => `reloads in a loop: ${why}`)
    this.#reloadedAt.add(why)
    this.#drop()
    const usable = this.world.shelf.whole().filter((each) => this.#loadable(each))
    if (usable.length === 0 || (this.world.start === 0 && this.world.random.chance(0.3))) {
      promised(this.world.start === 0, 'P8', () => 'the log was trimmed and no snapshot is left')
      this.next = 0
      this.arbitration = initialArbitration
      this.state = new ServiceState()
      this.lastEffective = 0
      return
    }
    const snapshot = this.world.random.pick(usable)
    this.next = snapshot.next
    this.arbitration = arbitrationOf(snapshot)
    this.state = snapshot.state.clone()
    this.lastEffective = snapshot.lastEffective
    // Its voids stand below its end: from an older point the state is only fit again from there on.
    if (snapshot.voids.length > 0) this.#unfit = Math.max(this.#unfit, snapshot.next)
    for (const { position, recordHash } of snapshot.voids) {
      this.voids.add({ position: BigInt(position), recordHash: Buffer.from(recordHash, 'hex') })
    }
  }

  #loadable({ next, voids }: ModelSnapshot): boolean {
    if (next < this.world.start || next > this.world.end) return false
    const has = new Set(voids.map((each) => each.position))
    return this.voids.toJson().every(({ position }) => position >= next || has.has(position))
  }

  #drop(): void {
    this.leadership = undefined
    this.claimId = 0
    this.claimEpoch = 0
    this.writing = undefined
  }

  /** Dies and starts again with nothing but what is stored. */
  crash(): void {
    this.voids = new VoidList()
    this.#reloadedAt = new Set()
    this.#unfit = 0
    this.paused = false
    this.reload('start')
    this.#reloadedAt.clear()
  }

  /** Claims the next epoch, unless a claim is outstanding or it leads. */
  claim(): void {
    if (this.leadership !== undefined || this.claimId !== 0) return
    if (this.next < this.world.start) return
    const claimId = this.world.newId()
    const epoch = this.arbitration.epoch + 1
    this.claimId = claimId
    this.claimEpoch = epoch
    const content: Content = { is: 'claim', epoch, claimId, name: this.name }
    this.world.send(this.world.make(content, { prev: this.arbitration.chain, after: -1 }))
  }

  /** Gives up an outstanding claim that was lost, as a replica does after waiting. */
  claimAgain(): void {
    if (this.leadership !== undefined) return
    this.claimId = 0
    this.claim()
  }

  /** A client's request; only a leader takes it. */
  submit(request: Request, startedAfter: number): void {
    this.leadership?.submit(request, startedAfter)
  }

  /** A read: of a follower at once, of a leader when what it could have seen is effective. */
  readState(): void {
    if (this.next < this.#unfit) return
    if (this.leadership === undefined) this.world.show('follower read', this.next, this.state)
    else this.leadership.readState()
  }

  beginSnapshot(): void {
    if (this.writing !== undefined || this.leadership?.inFlight !== undefined) return
    if (this.next < this.#unfit) return
    const { next, arbitration, state, lastEffective } = this
    const voids = this.voids.toJson()
    this.writing = this.world.shelf.begin({ next, arbitration, state, voids, lastEffective })
    this.world.show('snapshot', next, state)
  }

  finishSnapshot(): void {
    if (this.writing === undefined) return
    this.world.shelf.finish(this.writing)
    this.writing = undefined
  }

  /** For messages. */
  get describe(): string {
    return `${this.name}@${this.next}`
  }

  /** Says that a state that cannot be was reached. */
  impossible(what: string): never {
    throw new PromiseBroken('P2', `${this.describe}: ${what}`)
  }
}
