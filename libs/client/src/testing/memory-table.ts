/** A table with transactions, and a journal of what was applied under which number. */
import type { Mark, PublicEvent } from '../events/event.ts'
import type { BootstrapCause, EventTable } from '../events/ports.ts'
import { fold } from './memory-topic.ts'

/** The process died. */
export class Killed extends Error {}

interface Rows {
  state: Map<string, number>
  shadow: { id: string; state: Map<string, number> } | undefined
  mark: Mark | undefined
  /** Seqs that were applied one by one. */
  applied: number[]
  /** What was taken over as a whole. */
  bootstraps: { afterSeq: number; throughSeq: number; cause: BootstrapCause }[]
}

export class MemoryTable implements EventTable {
  rows: Rows = {
    state: new Map(),
    shadow: undefined,
    mark: undefined,
    applied: [],
    bootstraps: [],
  }
  /** Asked before and after each transaction: true = the process dies there. */
  dies: () => boolean = () => false

  load(): Mark | undefined {
    return this.rows.mark
  }

  apply(step: { after: Mark | undefined; events: readonly PublicEvent[]; mark: Mark }): void {
    this.#transaction((rows) => {
      if (rows.mark !== step.after) throw new Error('somebody else has moved the mark')
      for (const event of step.events) {
        fold(rows.state, event)
        rows.applied.push(event.seq)
      }
      rows.mark = step.mark
    })
  }

  stage(step: { bootstrapId: string; page: number; events: readonly PublicEvent[] }): void {
    this.#transaction((rows) => {
      if (step.page === 0) rows.shadow = { id: step.bootstrapId, state: new Map() }
      if (rows.shadow?.id !== step.bootstrapId) throw new Error('a page of another bootstrap')
      for (const event of step.events) fold(rows.shadow.state, event)
    })
  }

  swap(step: {
    bootstrapId: string
    after: Mark | undefined
    mark: Mark
    cause: BootstrapCause
  }): void {
    this.#transaction((rows) => {
      if (rows.shadow?.id !== step.bootstrapId) throw new Error('a swap of another bootstrap')
      const afterSeq = rows.mark?.seq ?? 0
      rows.bootstraps.push({ afterSeq, throughSeq: step.mark.seq, cause: step.cause })
      rows.state = rows.shadow.state
      rows.shadow = undefined
      rows.mark = step.mark
    })
  }

  #transaction(work: (rows: Rows) => void): void {
    if (this.dies()) throw new Killed()
    const { state, shadow, applied, bootstraps, mark } = this.rows
    const copy: Rows = {
      state: new Map(state),
      shadow: shadow && { id: shadow.id, state: new Map(shadow.state) },
      mark,
      applied: [...applied],
      bootstraps: [...bootstraps],
    }
    work(copy)
    this.rows = copy
    if (this.dies()) throw new Killed()
  }
}

/**
 * What is wrong with a table that has seen the events 1 to `last`: each must have been applied
 * exactly once or be part of exactly one bootstrap; empty = nothing.
 */
export function faultsOf(rows: Pick<Rows, 'applied' | 'bootstraps'>, last: number): string[] {
  const times = new Map<number, number>()
  const count = (seq: number): void => void times.set(seq, (times.get(seq) ?? 0) + 1)
  for (const seq of rows.applied) count(seq)
  for (const { afterSeq, throughSeq } of rows.bootstraps) {
    for (let seq = afterSeq + 1; seq <= throughSeq; seq += 1) count(seq)
  }
  const faults: string[] = []
  for (let seq = 1; seq <= last; seq += 1) {
    const n = times.get(seq) ?? 0
    if (n !== 1) faults.push(`event ${seq}: ${n} times`)
  }
  if (times.size > last) faults.push(`${times.size - last} events that there were not`)
  return faults
}
