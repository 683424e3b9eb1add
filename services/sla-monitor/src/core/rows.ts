/** Gathers what is added to intervals, in a stable order. */
import type { CountRow } from './messages.ts'
import { type Counts, MAX_LEDGERS, type ObjectiveState, OTHER_TENANTS } from './model.ts'

type Cell = { -readonly [K in keyof Counts]: number }

export class Rows {
  readonly #cells = new Map<string, { row: [string, string, number]; cell: Cell }>()
  /** Ledgers that are new with these rows, by objective. */
  readonly #fresh = new Map<string, Set<string>>()

  add(to: { state: ObjectiveState; tenant: string; startMs: number; column: keyof Counts }): void {
    const { objectiveId } = to.state.objective
    const tenant = this.#ledgerOf(to.state, to.tenant)
    const key = `${objectiveId}\n${tenant}\n${to.startMs}`
    let found = this.#cells.get(key)
    if (found === undefined) {
      const cell = { good: 0, bad: 0, excluded: 0, unknown: 0, late: 0 }
      found = { row: [objectiveId, tenant, to.startMs], cell }
      this.#cells.set(key, found)
    }
    found.cell[to.column] += 1
  }

  #ledgerOf(state: ObjectiveState, tenant: string): string {
    const { objectiveId } = state.objective
    if (state.ledgers.has(tenant)) return tenant
    let fresh = this.#fresh.get(objectiveId)
    if (fresh === undefined) {
      fresh = new Set()
      this.#fresh.set(objectiveId, fresh)
    }
    if (!fresh.has(tenant) && state.ledgers.size + fresh.size >= MAX_LEDGERS) return OTHER_TENANTS
    fresh.add(tenant)
    return tenant
  }

  /** In the order in which the cells were met first. */
  list(): readonly CountRow[] {
    return [...this.#cells.values()].map(
      ({ row, cell: { good, bad, excluded, unknown, late } }): CountRow => [
        ...row,
        good,
        bad,
        excluded,
        unknown,
        late,
      ],
    )
  }
}

export const countsOf = (row: CountRow): Counts => ({
  good: row[3],
  bad: row[4],
  excluded: row[5],
  unknown: row[6],
  late: row[7],
})
