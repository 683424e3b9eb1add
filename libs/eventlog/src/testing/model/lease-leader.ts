import type { Broken } from './breakages.ts'
import type { Desired, LeaseNode } from './lease-node.ts'
import { drawClock, localAt, lostAfter, type RateClock } from './lease-world.ts'
import type { LeaseHistory } from './leases.ts'

/** What the log says about the task. */
export interface Placement {
  readonly generation: number
  /** Node it is placed on; -1 = none. */
  readonly node: number
  readonly position: number
}

interface Heartbeat {
  readonly node: LeaseNode
  readonly sentLocal: number
}

/** The pool manager's leader of one epoch, also after it was fenced without knowing. */
export class LeaseLeader {
  readonly epoch: number
  readonly #history: LeaseHistory
  readonly #broken: Broken
  readonly #clock: RateClock
  readonly #readBackAt: number
  /** When each node was last heard, by the own clock. */
  readonly #heard = new Map<number, number>()
  /** Received and not yet answered. */
  #waiting: Heartbeat[] = []
  #view: Placement
  #inFlight = false
  /** Newest generation of the state with the commit in flight: what is decided stands on it. */
  #decided = 0
  stoppedUntil = 0
  /** Its process is gone. */
  dead = false

  constructor(history: LeaseHistory, init: { epoch: number; view: Placement; broken: Broken }) {
    this.#history = history
    this.epoch = init.epoch
    this.#view = init.view
    this.#decided = init.view.generation
    this.#broken = init.broken
    this.#clock = drawClock(history.random)
    this.#readBackAt = this.#local
  }

  get #local(): number {
    return localAt(this.#clock, this.#history.timeline.now)
  }

  /** Runs `work` now, or when the process runs again. */
  #when(work: () => void): void {
    const { timeline } = this.#history
    if (this.dead) return
    if (timeline.now < this.stoppedUntil) timeline.at(this.stoppedUntil, () => this.#when(work))
    else work()
  }

  heartbeat(node: LeaseNode, sentLocal: number): void {
    this.#when(() => {
      this.#heard.set(node.index, this.#local)
      this.#waiting.push({ node, sentLocal })
    })
  }

  /** A report of a task; only those of the newest generation count. */
  report(generation: number): void {
    this.#when(() => {
      if (generation === this.#decided || this.#broken.acceptOldGeneration) {
        this.#history.reportAccepted(this, generation)
      }
    })
  }

  /** Looks for lost nodes, places, ticks: one commit in flight. */
  turn(): void {
    this.#when(() => {
      if (this.#inFlight) return
      const next = this.#decide()
      if (next !== undefined) this.#commit(next, [])
      else if (this.#waiting.length > 0) this.#commit(undefined, this.#waiting.splice(0))
    })
  }

  #lost(node: number): boolean {
    const since = Math.max(this.#heard.get(node) ?? this.#readBackAt, this.#readBackAt)
    return this.#local - since > lostAfter(this.#broken)
  }

  /** The next generation: at the start, and when its node is lost. */
  #decide(): { generation: number; node: number } | undefined {
    const { generation, node } = this.#view
    if (node >= 0 && !this.#lost(node)) return undefined
    const fit = this.#history.nodes.filter((each) => {
      return each.index !== node && this.#heard.has(each.index) && !this.#lost(each.index)
    })
    const target = fit.length === 0 ? undefined : this.#history.random.pick(fit)
    return target === undefined ? undefined : { generation: generation + 1, node: target.index }
  }

  /** Appends; what depends on it happens when it was read back as effective. */
  #commit(
    next: { generation: number; node: number } | undefined,
    answered: readonly Heartbeat[],
  ): void {
    this.#inFlight = true
    if (next !== undefined) this.#decided = next.generation
    this.#history.append(this, next, (placement) => {
      this.#when(() => {
        this.#inFlight = false
        this.#view = placement
        for (const { node, sentLocal } of answered) this.#tell(node, sentLocal)
        if (next === undefined) return
        for (const node of this.#history.nodes) this.#tell(node, undefined)
      })
    })
  }

  #tell(node: LeaseNode, heartbeat: number | undefined): void {
    const { generation, position } = this.#view
    const wanted = this.#view.node === node.index ? generation : 0
    const { epoch } = this
    const message: Desired = { epoch, position, generation: wanted, heartbeat }
    this.#history.deliver(() => node.receive(message))
  }
}
