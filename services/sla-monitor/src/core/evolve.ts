import { invariant, unreachable } from '@serverless-ai/kernel'
import type { CountRow, SlaEvent } from './messages.ts'
import {
  dayOf,
  INTERVAL_MS,
  isJobIndicator,
  type Ledger,
  MARKS_KEPT,
  MAX_NAMES,
  MINUTE_MS,
  NO_HASH,
  type Objective,
  type ObjectiveState,
  plus,
  type Ring,
  type SlaState,
  STATEMENTS_KEPT,
  STORY_KEPT,
  ZERO,
} from './model.ts'
import { addTo, bucketFor, newRing } from './ring.ts'
import { countsOf } from './rows.ts'
import { missingOf } from './sources.ts'
import { storyOf } from './story.ts'

/** A ledger in which nothing stands yet. */
export const newLedger = (): Ledger => ({
  open: new Map(),
  statements: [],
  number: 0,
  hash: NO_HASH,
})

/** Empty rings for the rules of an objective. */
export const ringsOf = (objective: Objective): readonly Ring[] =>
  objective.rules.map(({ bucketMs, longMs }) => newRing(bucketMs, longMs))

export const budgetRing = ({ windowMs }: Objective): Ring =>
  newRing(bucketFor(windowMs, INTERVAL_MS), windowMs)

function stateOf(state: SlaState, objectiveId: string): ObjectiveState {
  const found = state.objectives.get(objectiveId)
  invariant(found !== undefined, `an event of the unknown objective ${objectiveId}`)
  return found
}

/** True while requests are counted for any objective. */
const countsRequests = (state: SlaState): boolean =>
  [...state.objectives.values()].some(({ objective }) => !isJobIndicator(objective.indicator))

function forgetSource(state: SlaState, name: string): void {
  const source = state.sources.get(name)
  if (source === undefined) return
  state.lostForgotten += source.lost + missingOf(source)
  state.sources.delete(name)
}

function declare(state: SlaState, objective: Objective, atMs: number): void {
  if (!isJobIndicator(objective.indicator) && !countsRequests(state)) {
    // Nobody listened until now: what the sources sent meanwhile is no loss.
    for (const name of [...state.sources.keys()]) forgetSource(state, name)
    state.intakeSinceMs = atMs
  }
  state.objectives.set(objective.objectiveId, {
    objective,
    rings: ringsOf(objective),
    budget: budgetRing(objective),
    aside: { excluded: 0, unknown: 0, late: 0 },
    breaches: new Map(),
    actions: new Map(),
    actionNumber: 0,
    ledgers: new Map(),
    story: [],
  })
}

const sameWindows = (a: Objective['rules'][number], b: Objective['rules'][number] | undefined) =>
  b !== undefined && a.bucketMs === b.bucketMs && a.longMs === b.longMs

function update(state: SlaState, objective: Objective): void {
  const of = stateOf(state, objective.objectiveId)
  const before = of.objective.rules
  // A rule with other windows begins to count anew.
  of.rings = objective.rules.map((rule, index) => {
    const kept = of.rings[index]
    return kept !== undefined && sameWindows(rule, before[index])
      ? kept
      : newRing(rule.bucketMs, rule.longMs)
  })
  of.objective = objective
}

function remove(state: SlaState, objectiveId: string): void {
  state.objectives.delete(objectiveId)
  if (!countsRequests(state)) state.intakeSinceMs = 0
}

function addRow(state: SlaState, row: CountRow, number: number): void {
  const [objectiveId, tenant, startMs] = row
  const of = stateOf(state, objectiveId)
  const counts = countsOf(row)
  if (counts.good + counts.bad > 0) {
    for (const ring of of.rings) addTo(ring, startMs, counts)
    addTo(of.budget, startMs, counts)
  }
  const { excluded, unknown, late } = of.aside
  of.aside = {
    excluded: excluded + counts.excluded,
    unknown: unknown + counts.unknown,
    late: late + counts.late,
  }
  let ledger = of.ledgers.get(tenant)
  if (ledger === undefined) {
    ledger = newLedger()
    of.ledgers.set(tenant, ledger)
  }
  const dayMs = dayOf(startMs)
  const open = ledger.open.get(dayMs)?.counts ?? ZERO
  ledger.open.set(dayMs, { counts: plus(open, counts), throughCount: number })
}

function noteCount(state: SlaState, number: number, atMs: number): void {
  invariant(number === state.count + 1, `count ${number} after ${state.count}`)
  state.count = number
  const minute = Math.floor(atMs / MINUTE_MS)
  if (state.marks.at(-1)?.minute === minute) return
  state.marks.push({ minute, count: number })
  if (state.marks.length > MARKS_KEPT) state.marks.shift()
}

function closeStatement(
  state: SlaState,
  { statement }: Extract<SlaEvent, { type: 'StatementClosed' }>,
): void {
  const ledger = stateOf(state, statement.objectiveId).ledgers.get(statement.tenant)
  invariant(ledger?.open.has(statement.dayMs) === true, 'a statement of a day that is not open')
  invariant(ledger.hash === statement.previousHash, 'a statement that does not follow')
  ledger.open.delete(statement.dayMs)
  ledger.number = statement.number
  ledger.hash = statement.hash
  ledger.statements = [...ledger.statements, statement].slice(-STATEMENTS_KEPT)
}

function evolveCounts(
  state: SlaState,
  event: Extract<SlaEvent, { type: 'OutcomesCounted' | 'JobOutcomesCounted' }>,
  atMs: number,
): void {
  noteCount(state, event.number, atMs)
  for (const row of event.rows) addRow(state, row, event.number)
  if (event.type === 'OutcomesCounted') {
    for (const source of event.sources) state.sources.set(source.source, source)
    return
  }
  const job = state.jobs.get(event.jobId)
  if (job === undefined) return
  const pending = new Map(job.pending)
  for (const objectiveId of event.judged) pending.delete(objectiveId)
  state.jobs.set(event.jobId, { ...job, pending })
}

function evolveObjective(
  state: SlaState,
  event: Extract<
    SlaEvent,
    { type: `Breach${string}` | `Action${string}` | `Objective${string}` | 'StatementClosed' }
  >,
  atMs: number,
): void {
  switch (event.type) {
    case 'ObjectiveDeclared':
      declare(state, event.objective, atMs)
      return
    case 'ObjectiveUpdated':
      update(state, event.objective)
      return
    case 'ObjectiveDeleted':
      remove(state, event.objective.objectiveId)
      return
    case 'BreachOpened':
      stateOf(state, event.breach.objectiveId).breaches.set(event.rule, event.breach)
      return
    case 'BreachClosed':
      stateOf(state, event.breach.objectiveId).breaches.delete(event.rule)
      return
    case 'ActionRequested': {
      const of = stateOf(state, event.action.objectiveId)
      of.actions.set(event.action.step, event.action)
      of.actionNumber += 1
      return
    }
    case 'ActionWithdrawn':
      stateOf(state, event.action.objectiveId).actions.delete(event.action.step)
      return
    case 'StatementClosed':
      closeStatement(state, event)
      return
    default:
      unreachable(event)
  }
}

function evolveRest(state: SlaState, event: SlaEvent, atMs: number): void {
  switch (event.type) {
    case 'OutcomesCounted':
    case 'JobOutcomesCounted':
      evolveCounts(state, event, atMs)
      return
    case 'JobTracked': {
      const { jobId, tenant, submittedMs, pending } = event
      state.jobs.set(jobId, { jobId, tenant, submittedMs, pending: new Map(pending) })
      return
    }
    case 'JobEnded':
      state.jobs.delete(event.jobId)
      return
    case 'ServiceNamed':
      state.names.set(event.jobId, event.name)
      if (state.names.size > MAX_NAMES) {
        const [oldest = ''] = state.names.keys()
        state.names.delete(oldest)
      }
      return
    case 'ServiceForgotten':
      state.names.delete(event.jobId)
      return
    case 'SourceJudged': {
      const source = state.sources.get(event.source)
      if (source !== undefined) {
        state.sources.set(event.source, { ...source, health: event.health })
      }
      return
    }
    case 'SourceForgotten':
      forgetSource(state, event.source)
      return
    // They are told so that the log shows them, and so that it is not quiet.
    case 'JobOverdue':
    case 'EvaluationResumed':
      return
    default:
      evolveObjective(state, event, atMs)
      return
  }
}

/** Folds one event. Changes `state` in place. */
export function evolve(state: SlaState, event: SlaEvent, atMs: number): SlaState {
  evolveRest(state, event, atMs)
  state.lastMs = atMs
  const told = storyOf(event, atMs)
  const of = told === undefined ? undefined : state.objectives.get(told.objectiveId)
  if (told !== undefined && of !== undefined) {
    of.story = [...of.story, told.line].slice(-STORY_KEPT)
  }
  return state
}
