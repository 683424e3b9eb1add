import {
  type ArbitrationJson,
  type ArbitrationState,
  arbitrationFromJson,
  arbitrationToJson,
} from '../../arbitration.ts'
import type { VoidJson } from '../../voids.ts'
import type { ServiceState } from './service-state.ts'

/** A snapshot: everything up to `next`, the first position that is not in it. */
export interface ModelSnapshot {
  readonly next: number
  readonly arbitration: ArbitrationJson
  readonly state: ServiceState
  readonly voids: readonly VoidJson[]
  /** Serial of the last effective record in it; 0 = none. */
  readonly lastEffective: number
  /** False while it is being written. */
  whole: boolean
}

/**
 * Where snapshots lie: each under a name of its own, or, as a breakage, in two slots that are
 * written over.
 */
export class SnapshotShelf {
  readonly #slots: (ModelSnapshot | undefined)[] = []
  readonly #shared: boolean
  #turn = 0

  constructor(shared: boolean) {
    this.#shared = shared
  }

  /** Begins to write; it is whole when `finish` is called. */
  begin(init: {
    next: number
    arbitration: ArbitrationState
    state: ServiceState
    voids: readonly VoidJson[]
    lastEffective: number
  }): ModelSnapshot {
    const { next, state, voids, lastEffective } = init
    const arbitration = arbitrationToJson(init.arbitration)
    const kept = { next, arbitration, state: state.clone(), voids, lastEffective, whole: false }
    if (this.#shared) {
      this.#slots[this.#turn % 2] = kept
      this.#turn += 1
    } else this.#slots.push(kept)
    return kept
  }

  finish(snapshot: ModelSnapshot): void {
    snapshot.whole = true
  }

  /** Whole snapshots. */
  whole(): ModelSnapshot[] {
    return this.#slots.filter((each) => each?.whole === true) as ModelSnapshot[]
  }

  /** Removes what is older than `next`. */
  removeBelow(next: number): void {
    if (this.#shared) return
    for (let index = this.#slots.length - 1; index >= 0; index -= 1) {
      const each = this.#slots[index]
      if (each !== undefined && each.next < next && each.whole) this.#slots.splice(index, 1)
    }
  }
}

/** Arbitration state inside a snapshot. */
export const arbitrationOf = (snapshot: ModelSnapshot): ArbitrationState =>
  arbitrationFromJson(snapshot.arbitration)
