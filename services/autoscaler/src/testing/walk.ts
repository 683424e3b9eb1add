import { type SeededRandomness, seededRandomness } from '@serverless-ai/kernel/testing'
import {
  type Decision,
  type Maybe,
  type Observation,
  type PredictiveState,
  predictivePolicy,
} from '../core/index.ts'

/** Options of {@link runScalingWalk}. */
export interface WalkOptions {
  readonly seed: number
  readonly steps: number
}

/** What a walk came by, to see that it did not pass by the interesting parts. */
export interface WalkResult {
  readonly steps: number
  readonly ups: number
  readonly downs: number
  readonly toZero: number
  readonly fromZero: number
  readonly holds: Readonly<Record<string, number>>
  readonly notes: Readonly<Record<string, number>>
  readonly calmStretches: number
}

const STEP_MS = 2_000
const SAFE_PER_S = 1_000
const IDLE_MS = 60_000
/** Share of the steps that are done twice, the second time from a state that was JSON. */
const REPLAYED = 0.05
const ALLOWED_PPM = [500_000, 10_000]

/** How the world of a walk is for a while. */
interface Weather {
  readonly kind: 'calm' | 'noise' | 'burst' | 'silent' | 'broken' | 'idle'
  readonly ratePerS: number
  readonly left: number
}

/** A check that failed. */
function must(holds: boolean, what: string, seen: unknown): void {
  if (!holds) throw new Error(`${what}: ${JSON.stringify(seen)}`)
}

class Walk {
  readonly counts = {
    ups: 0,
    downs: 0,
    toZero: 0,
    fromZero: 0,
    calmStretches: 0,
    holds: {} as Record<string, number>,
    notes: {} as Record<string, number>,
  }
  readonly #dice: SeededRandomness
  readonly #startupMs: number
  readonly #policy
  #state: PredictiveState
  #weather: Weather = { kind: 'calm', ratePerS: 10, left: 30 }
  #nowMs = 1_000_000
  #target: number
  #ready: number
  #starting: number[] = []
  #waiting = 0
  #limits = {
    floor: 1,
    ceiling: 20,
    budget: 20 as number | undefined,
    quota: 20 as number | undefined,
  }
  /** Steps without a request, known to be so. */
  #quiet = 0
  /** Times of changes since the load has been constant; undefined: it is not. */
  #calmChanges: number[] | undefined

  constructor(seed: number) {
    this.#dice = seededRandomness(seed)
    this.#startupMs = this.#dice.pick([5_000, 30_000, 120_000, 300_000])
    this.#policy = predictivePolicy({
      work: { perRequest: 100, perInputToken: 0, perOutputToken: 0 },
      safeWorkPerS: SAFE_PER_S,
      allowedMissPpm: ALLOWED_PPM,
      startupMs: this.#startupMs,
      stepMs: STEP_MS,
      historyMs: 300_000,
      minHistoryMs: 60_000,
      idleMs: IDLE_MS,
      retuneMs: this.#dice.pick([60_000, 300_000]),
    })
    this.#state = this.#policy.initial()
    this.#target = this.#dice.int(10)
    this.#ready = this.#target
  }

  step(): void {
    this.#nowMs += STEP_MS
    this.#turnWeather()
    const observation = this.#observe()
    const first = this.#policy.step(observation, this.#state)
    if (this.#dice.chance(REPLAYED)) {
      const again = this.#policy.step(observation, JSON.parse(JSON.stringify(this.#state)))
      const same = JSON.stringify(first) === JSON.stringify(again)
      must(same, 'the same log gives another decision', observation)
    }
    this.#check(observation, first.decision)
    this.#state = first.state
    this.#apply(first.decision)
  }

  #turnWeather(): void {
    if (this.#weather.left > 0) {
      this.#weather = { ...this.#weather, left: this.#weather.left - 1 }
      return
    }
    const dice = this.#dice
    const kind = dice.pick(['calm', 'calm', 'noise', 'burst', 'silent', 'broken', 'idle'] as const)
    const left = kind === 'calm' ? 200 + dice.int(400) : 5 + dice.int(100)
    const ratePerS = kind === 'idle' ? 0 : dice.int(kind === 'burst' ? 2_000 : 120)
    this.#weather = { kind, ratePerS, left }
    if (dice.chance(0.3)) this.#turnLimits()
    // Somebody else may set the target, too.
    if (dice.chance(0.1)) this.#target = Math.min(dice.int(12), this.#limits.ceiling)
    this.#calmChanges = undefined
  }

  #turnLimits(): void {
    const dice = this.#dice
    const ceiling = 1 + dice.int(30)
    const known = (most: number) => (dice.chance(0.15) ? undefined : dice.int(most + 1))
    this.#limits = {
      floor: dice.int(Math.min(4, ceiling)),
      ceiling,
      budget: known(40),
      quota: known(40),
    }
  }

  /** What arrives in this step, and what the replicas make of it. */
  #serve(): { arrived: number; finished: number; missed: number } {
    const { kind, ratePerS } = this.#weather
    const noise = kind === 'noise' ? this.#dice.int(ratePerS + 1) : ratePerS
    const arrived = Math.round((noise * STEP_MS) / 1_000)
    const room = this.#ready * 36
    const served = Math.min(this.#waiting + arrived, room)
    this.#waiting += arrived - served
    const over = this.#waiting > 0 || served > this.#ready * 30
    return { arrived, finished: served, missed: over ? served : 0 }
  }

  #observe(): Observation {
    const { arrived, finished, missed } = this.#serve()
    const { kind } = this.#weather
    const reading = <T>(value: T): Maybe<T> => {
      if (kind === 'silent') return undefined
      if (kind !== 'broken') return { value, ageMs: this.#dice.int(2_000) }
      return this.#dice.pick([
        undefined,
        { value, ageMs: 60_000 },
        { value, ageMs: -5_000 },
        { value, ageMs: Number.NaN },
      ])
    }
    const absurd = kind === 'broken' && this.#dice.chance(0.5)
    const requests = absurd ? this.#dice.pick([Number.NaN, -1, 1e300]) : arrived
    const startupsMs = this.#startReplicas()
    return {
      nowMs: this.#nowMs,
      target: this.#target,
      arrivals: reading({ requests, inputTokens: 0 }),
      held: reading({ requests: this.#waiting, inputTokens: 0 }),
      inFlight: reading(finished),
      outcomes: reading({ finished, outputTokens: finished, missed: [missed, missed] }),
      expected: undefined,
      replicas: reading({
        ready: this.#ready,
        draining: 0,
        startingMs: this.#starting.map((atMs) => this.#nowMs - atMs),
        startupsMs,
      }),
      limits: this.#limits,
    }
  }

  #startReplicas(): number[] {
    const done = this.#starting.filter((atMs) => this.#nowMs - atMs >= this.#startupMs)
    this.#starting = this.#starting.filter((atMs) => this.#nowMs - atMs < this.#startupMs)
    this.#ready += done.length
    return done.map((atMs) => this.#nowMs - atMs)
  }

  #check(input: Observation, decision: Decision): void {
    const { wanted, hold, notes } = decision
    const { floor, ceiling, budget, quota } = input.limits
    const most = Math.min(ceiling, budget ?? ceiling, quota ?? ceiling)
    must(Number.isInteger(wanted) && wanted >= 0, 'no whole number is wanted', decision)
    must(wanted <= most, 'above ceiling, budget or quota', { decision, limits: input.limits })
    must(
      wanted >= Math.min(floor, most) || budget === undefined || quota === undefined,
      'below the floor',
      { decision, limits: input.limits },
    )
    const blind = budget === undefined || quota === undefined
    must(!blind || wanted <= Math.max(input.target, 0), 'grows on an unknown budget', decision)
    if (hold?.code === 'METRICS_UNKNOWN') {
      const kept = Math.min(Math.max(input.target, floor), blind ? input.target : most)
      must(wanted === Math.min(kept, most), 'a loss of metrics changed it', { decision, input })
    }
    if (hold !== undefined) this.#count(this.counts.holds, hold.code)
    for (const { code } of notes) this.#count(this.counts.notes, code)
    const quiet = input.arrivals?.value.requests === 0 && this.#waiting === 0
    this.#quiet = quiet && this.#weather.kind === 'idle' ? this.#quiet + 1 : 0
    const asleep = this.#quiet * STEP_MS > IDLE_MS && floor === 0 && input.target === 0
    must(!asleep || wanted === 0, 'started from zero without a request', decision)
    this.#checkCalm(input, wanted)
  }

  /** After the load has been constant for long, a start-up sees one change at most. */
  #checkCalm(input: Observation, wanted: number): void {
    const { kind, left } = this.#weather
    if (kind !== 'calm') return
    if (this.#calmChanges === undefined) {
      // Estimates have settled, and what waited is gone.
      if (left > 150 || this.#waiting > 0) return
      this.#calmChanges = []
      this.counts.calmStretches += 1
    }
    if (wanted === input.target) return
    const recent = this.#calmChanges.filter((atMs) => this.#nowMs - atMs < this.#startupMs)
    must(recent.length === 0, 'more than one change in a start-up under constant load', {
      changes: [...this.#calmChanges, this.#nowMs],
      startupMs: this.#startupMs,
      from: input.target,
      wanted,
    })
    this.#calmChanges = [...recent, this.#nowMs]
  }

  #count(counts: Record<string, number>, code: string): void {
    counts[code] = (counts[code] ?? 0) + 1
  }

  #apply({ wanted }: Decision): void {
    const before = this.#target
    if (wanted > before) this.counts.ups += 1
    if (wanted < before) this.counts.downs += 1
    if (wanted === 0 && before > 0) this.counts.toZero += 1
    if (wanted > 0 && before === 0) this.counts.fromZero += 1
    this.#target = wanted
    let have = this.#ready + this.#starting.length
    for (; have < wanted; have += 1) this.#starting.push(this.#nowMs)
    for (; have > wanted; have -= 1) if (this.#starting.pop() === undefined) this.#ready -= 1
  }
}

/** Steps of one life of a policy; then another begins, with another start-up time. */
const LIFE_STEPS = 2_500

/**
 * Walks at random through the predictive policy: loads, bursts, silence, broken sources, moving
 * limits, other writers. Checked at each step: within budget, quota, ceiling and floor; a loss of
 * metrics changes nothing; constant load changes it once in a start-up at most; the same input
 * gives the same decision from a state that went through JSON (one step of twenty). Throws with
 * seed and step.
 */
export function runScalingWalk({ seed, steps }: WalkOptions): WalkResult {
  const sum: Omit<WalkResult, 'steps'>[] = []
  for (let done = 0, life = 0; done < steps; life += 1) {
    const walk = new Walk((seed + life * 7_919) >>> 0)
    const count = Math.min(LIFE_STEPS, steps - done)
    for (let step = 1; step <= count; step += 1) {
      try {
        walk.step()
      } catch (error) {
        const what = error instanceof Error ? error.message : String(error)
        throw new Error(`scaling walk failed: seed ${seed}, step ${done + step}: ${what}`, {
          cause: error,
        })
      }
    }
    done += count
    sum.push(walk.counts)
  }
  const total = (pick: (one: Omit<WalkResult, 'steps'>) => number) =>
    sum.reduce((all, one) => all + pick(one), 0)
  const merged = (pick: (one: Omit<WalkResult, 'steps'>) => Readonly<Record<string, number>>) => {
    const all: Record<string, number> = {}
    for (const one of sum) {
      for (const [code, count] of Object.entries(pick(one))) all[code] = (all[code] ?? 0) + count
    }
    return all
  }
  return {
    steps,
    ups: total(({ ups }) => ups),
    downs: total(({ downs }) => downs),
    toZero: total(({ toZero }) => toZero),
    fromZero: total(({ fromZero }) => fromZero),
    calmStretches: total(({ calmStretches }) => calmStretches),
    holds: merged(({ holds }) => holds),
    notes: merged(({ notes }) => notes),
  }
}
