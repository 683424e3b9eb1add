/** Ledgers: a statement for each tenant and day, each with the hash of the one before. */
import { accept, type DecideContext, type Decision } from '@serverless-ai/kernel'
import { dayTimer, type SlaCommand, type SlaEvent } from './messages.ts'
import type { ObjectiveState, SlaState, Statement } from './model.ts'
import { sha256 } from './sha256.ts'
import { lostTotal } from './sources.ts'

/** Statements in one commit: it stays well below 4 MiB. */
const STATEMENTS_AT_ONCE = 1_000

/** The hash of a statement: see `Statement.hash` in objective.proto. */
export function hashOf(statement: Omit<Statement, 'hash'>): string {
  const { counts } = statement
  const lines = [
    statement.previousHash,
    statement.objectiveId,
    statement.tenant,
    statement.number,
    statement.dayMs,
    counts.good,
    counts.bad,
    counts.excluded,
    counts.unknown,
    counts.late,
    statement.targetPpm,
    statement.throughCount,
    statement.lostBatchesTotal,
    statement.closedMs,
  ]
  return sha256(lines.map((line) => `${line}\n`).join(''))
}

/** Statements of all open days of an objective up to one. */
export function statementsOf(
  of: ObjectiveState,
  init: { readonly throughDayMs: number; readonly atMs: number; readonly lost: number },
): readonly Statement[] {
  const { objectiveId, targetPpm } = of.objective
  const statements: Statement[] = []
  for (const [tenant, ledger] of of.ledgers) {
    let { hash: previousHash, number } = ledger
    const days = [...ledger.open].filter(([dayMs]) => dayMs <= init.throughDayMs)
    for (const [dayMs, { counts, throughCount }] of days.sort(([a], [b]) => a - b)) {
      number += 1
      const fields = { objectiveId, tenant, number, dayMs, counts, targetPpm, throughCount }
      const rest = { lostBatchesTotal: init.lost, closedMs: init.atMs, previousHash }
      const statement = { ...fields, ...rest }
      const hash = hashOf(statement)
      statements.push({ ...statement, hash })
      previousHash = hash
    }
  }
  return statements
}

/** Closes a day, and what was left open before it, in all ledgers. */
export function closeDay(
  command: Extract<SlaCommand, { type: 'CloseDay' }>,
  state: SlaState,
  { atMs }: DecideContext,
): Decision<SlaEvent> {
  const init = { throughDayMs: command.dayMs, atMs, lost: lostTotal(state) }
  const events: SlaEvent[] = []
  for (const of of state.objectives.values()) {
    for (const statement of statementsOf(of, init)) {
      if (events.length === STATEMENTS_AT_ONCE) {
        return accept(events, { timers: [{ key: dayTimer(command.dayMs), dueMs: atMs }] })
      }
      events.push({ type: 'StatementClosed', statement })
    }
  }
  return accept(events)
}
