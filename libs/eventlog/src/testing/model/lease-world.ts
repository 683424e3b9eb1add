import type { SeededRandomness } from '@serverless-ai/kernel/testing'
import { type Broken, promised } from './breakages.ts'

/**
 * Lease that an agent counts from its own send time, by its own clock. Unit: a tenth of a second.
 */
export const LEASE = 150
/** A killed task is gone after this much true time. */
export const KILL_BUDGET = 50
/** Clock rates are within this of true time. */
const RATE_SPREAD = 0.04
const NEVER = Number.POSITIVE_INFINITY

/** Leader's wait before a node is lost, by its own clock. */
export function lostAfter(broken: Broken): number {
  const margin = broken.noLeaseMargin ? 1 : 1.1
  return margin * LEASE + (broken.noKillBudget ? 0 : KILL_BUDGET)
}

/** A clock that runs at a rate of its own. */
export interface RateClock {
  readonly rate: number
  readonly offset: number
}

/** Random clock; extremes are as likely as anything between. */
export function drawClock(random: SeededRandomness): RateClock {
  const extremes = [1 - RATE_SPREAD, 1 + RATE_SPREAD, 1 + (random.float() * 2 - 1) * RATE_SPREAD]
  return { rate: random.pick(extremes), offset: random.int(1000) }
}

/** Reading of a clock at true time `at`. */
export const localAt = ({ rate, offset }: RateClock, at: number): number => offset + rate * at
/** True time at which a clock shows `local`. */
export const trueAt = ({ rate, offset }: RateClock, local: number): number =>
  (local - offset) / rate

/** Virtual true time and what is to happen when. */
export class LeaseTimeline {
  now = 0
  #order = 0
  readonly #events: { at: number; order: number; run: () => void }[] = []

  at(time: number, run: () => void): void {
    const event = { at: Math.max(time, this.now), order: this.#order, run }
    this.#order += 1
    let index = this.#events.length
    while (index > 0 && this.#events[index - 1]!.at > event.at) index -= 1
    this.#events.splice(index, 0, event)
  }

  /** Runs everything up to `end`. */
  run(end: number): void {
    for (;;) {
      const next = this.#events[0]
      if (next === undefined || next.at > end) return
      this.#events.shift()
      this.now = next.at
      next.run()
    }
  }
}

/** Who runs the exclusive task when: the truth, seen by nobody inside. */
export class RunRecord {
  readonly #runs: { node: number; generation: number; from: number; to: number }[] = []
  #accepted = 0

  started(node: number, generation: number, at: number): void {
    for (const run of this.#runs) {
      promised(run.to <= at || run.generation === generation, 'P6', () => {
        const other = `${run.generation} runs on ${run.node}`
        return `generation ${generation} starts on node ${node} while ${other}`
      })
    }
    this.#runs.push({ node, generation, from: at, to: NEVER })
  }

  ended(node: number, generation: number, at: number): void {
    for (const run of this.#runs) {
      if (run.node === node && run.generation === generation && run.to === NEVER) run.to = at
    }
  }

  /** Somebody accepted a report of a generation. */
  accepted(generation: number): void {
    promised(generation >= this.#accepted, 'P6', () => {
      return `a report of generation ${generation} was accepted after ${this.#accepted} had started`
    })
  }

  /** A generation is placed: from now on nothing older may be accepted. */
  placed(generation: number): void {
    this.#accepted = Math.max(this.#accepted, generation)
  }

  get generations(): number {
    return new Set(this.#runs.map((run) => run.generation)).size
  }
}
