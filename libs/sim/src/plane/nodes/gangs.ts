/** What tasks of one gang do together, on whatever nodes they run. */
import type { Timer } from '@serverless-ai/kernel'
import type { SeededRandomness } from '@serverless-ai/kernel/testing'
import type { World } from '../../world/types.ts'
import type { TaskScript } from '../types.ts'

/** One step of work takes this long, ms. */
const STEP_MS = 1_000
/** Steps between two progress lines of rank 0. */
const PROGRESS_EVERY = 5
/** Ranks that cannot reach each other look again after this, ms. */
const STUCK_MS = 2_000
/** Ranks end one after the other within this, ms. */
const END_SPREAD_MS = 200

/** A running rank, as the gang needs it. */
export interface Rank {
  readonly rank: number
  /** Network name of its node. */
  readonly node: string
  readonly script: TaskScript
  /** Absolute path of `SAI_RESUME_FROM`; empty = from the start. */
  readonly resumeFrom: string
  readonly checkpointDir: string
  /** Appends to its report; resolves when the line is in the file. */
  report(line: string): Promise<void>
  /** The program ends by itself. */
  exit(code: number): void
}

interface Gang {
  readonly worldSize: number
  readonly generation: number
  readonly ranks: Map<number, Rank>
  /** Undefined until all ranks have met. */
  step: number | undefined
  timer: Timer | undefined
  /** Checkpoint that was asked for; empty = none. */
  notice: string
}

/**
 * The programs of all gangs of a world: ranks meet, work in step, and stand still while one of them
 * is missing or cannot be reached, as collective communication does. Checkpoints lie in a store
 * that all nodes share.
 */
export class Gangs {
  readonly #world: World
  readonly #random: SeededRandomness
  readonly #gangs = new Map<string, Gang>()
  /** Step by path. */
  readonly #checkpoints = new Map<string, number>()

  constructor(world: World, random: SeededRandomness) {
    this.#world = world
    this.#random = random
  }

  /** A rank has begun. `id` names its gang and generation. */
  join(id: string, init: { worldSize: number; generation: number }, rank: Rank): void {
    let gang = this.#gangs.get(id)
    if (gang === undefined) {
      gang = { ...init, ranks: new Map(), step: undefined, timer: undefined, notice: '' }
      this.#gangs.set(id, gang)
    }
    gang.ranks.set(rank.rank, rank)
    if (gang.ranks.size === gang.worldSize) this.#begin(gang)
  }

  /** A rank is gone; those that are left wait for it, in vain. */
  leave(id: string, rank: number): void {
    const gang = this.#gangs.get(id)
    if (gang === undefined) return
    gang.timer?.cancel()
    gang.timer = undefined
    gang.ranks.delete(rank)
    if (gang.ranks.size === 0) this.#gangs.delete(id)
  }

  /** The gang shall write a checkpoint after its step, and do no more. Each rank is told. */
  notice(id: string, notice: string): void {
    const gang = this.#gangs.get(id)
    if (gang === undefined || gang.notice === notice) return
    gang.notice = notice
    // Those that have not met read it when they have.
    if (gang.step === undefined || gang.timer === undefined) return
    gang.timer.cancel()
    gang.timer = this.#world.time.after(STEP_MS, () => this.#obey(gang))
  }

  /** A checkpoint of the step that is done; then it stands still until it is ended. */
  #obey(gang: Gang): void {
    gang.timer = undefined
    if (gang.ranks.size < gang.worldSize || gang.step === undefined) return
    const { step } = gang
    const first = this.#firstOf(gang)
    const path = `${first.checkpointDir}/gen-${gang.generation}/step-${step}`
    this.#checkpoints.set(path, step)
    void first.report(JSON.stringify({ kind: 'checkpoint', step, path, notice: gang.notice }))
  }

  #begin(gang: Gang): void {
    const from = this.#firstOf(gang).resumeFrom
    const step = from === '' ? 0 : this.#checkpoints.get(from)
    if (step === undefined) {
      for (const rank of [...gang.ranks.values()]) rank.exit(2)
      return
    }
    gang.step = step
    if (gang.notice !== '') this.#obey(gang)
    else this.#next(gang)
  }

  #firstOf(gang: Gang): Rank {
    const first = gang.ranks.get(0)
    if (first === undefined) throw new Error('a gang that is complete has no rank 0')
    return first
  }

  /** Works until the next step at which something is to be said. */
  #next(gang: Gang): void {
    const { script } = this.#firstOf(gang)
    const step = gang.step ?? 0
    const ends = [script.seconds, step + PROGRESS_EVERY - (step % PROGRESS_EVERY)]
    const { checkpointEvery } = script
    if (checkpointEvery > 0) ends.push(step + checkpointEvery - (step % checkpointEvery))
    const until = Math.max(step, Math.min(...ends))
    gang.timer = this.#world.time.after((until - step) * STEP_MS, () => this.#reach(gang, until))
  }

  #reach(gang: Gang, step: number): void {
    if (!this.#canTalk(gang)) {
      gang.timer = this.#world.time.after(STUCK_MS, () => this.#reach(gang, step))
      return
    }
    const failed = this.#failing(gang, step - (gang.step ?? 0))
    gang.step = step
    if (failed !== undefined) {
      failed.exit(1)
      return
    }
    void this.#tell(gang, step).then(() => this.#goOn(gang, step))
  }

  /** Every rank talks to rank 0, as to the master of a rendezvous. */
  #canTalk(gang: Gang): boolean {
    const { network } = this.#world
    const master = this.#firstOf(gang).node
    for (const { node } of gang.ranks.values()) {
      if (node !== master && !network.connected(node, master)) return false
    }
    return true
  }

  /** A rank whose program fails in one of the steps that were just done. */
  #failing(gang: Gang, steps: number): Rank | undefined {
    for (const rank of gang.ranks.values()) {
      const { failShare } = rank.script
      if (failShare <= 0) continue
      for (let i = 0; i < steps; i += 1) if (this.#random.chance(failShare)) return rank
    }
    return undefined
  }

  async #tell(gang: Gang, step: number): Promise<void> {
    const first = this.#firstOf(gang)
    const { seconds, checkpointEvery } = first.script
    const loss = Math.round(1e4 / (step + 1)) / 1e4
    await first.report(JSON.stringify({ kind: 'progress', step, totalSteps: seconds, loss }))
    if (checkpointEvery > 0 && step > 0 && step % checkpointEvery === 0) {
      const path = `${first.checkpointDir}/gen-${gang.generation}/step-${step}`
      this.#checkpoints.set(path, step)
      await first.report(JSON.stringify({ kind: 'checkpoint', step, path }))
    }
    if (step >= seconds) await first.report(JSON.stringify({ kind: 'result', steps: step, loss }))
  }

  #goOn(gang: Gang, step: number): void {
    if (gang.ranks.size < gang.worldSize) return
    if (gang.notice !== '') {
      this.#obey(gang)
      return
    }
    if (step < this.#firstOf(gang).script.seconds) {
      this.#next(gang)
      return
    }
    for (const rank of [...gang.ranks.values()]) {
      const inMs = this.#random.float() * END_SPREAD_MS
      this.#world.time.after(inMs, () => rank.exit(rank.script.exitCode))
    }
  }
}
