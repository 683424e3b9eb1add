import {
  accept,
  type DecideContext,
  type Decision,
  refuse,
  unreachable,
} from '@serverless-ai/kernel'
import { countBatches } from './count.ts'
import { resolveObjective } from './declare.ts'
import { checkSource, closed, evaluate } from './evaluate.ts'
import { judgeDue, noteJob } from './jobs.ts'
import { takeStep } from './ladder.ts'
import { closeDay, statementsOf } from './ledger.ts'
import { GRACE_MS } from './limits.ts'
import { nameTimer, type SlaCommand, type SlaEvent, stepTimer } from './messages.ts'
import {
  dayOf,
  intervalOf,
  MAX_OBJECTIVES,
  type Objective,
  type ObjectivePromise,
  type ObjectiveState,
  type ObjectiveWish,
  type SlaState,
} from './model.ts'
import { lostTotal } from './sources.ts'

type CommandOf<T extends SlaCommand['type']> = Extract<SlaCommand, { type: T }>

const nothing = (): Decision<SlaEvent> => accept<SlaEvent>([])

const mayTouch = (caller: string, tenant: string): boolean => caller === '' || caller === tenant

/** The objective as it would be declared, or why it is refused. */
export function declared(
  command: Pick<CommandOf<'CreateObjective'>, 'caller' | 'wish'>,
  state: SlaState,
  context: Pick<DecideContext, 'atMs' | 'nonce'>,
):
  | { readonly accepted: true; readonly objective: Objective }
  | Extract<Decision<SlaEvent>, { accepted: false }> {
  const { caller, wish } = command
  if (!mayTouch(caller, wish.tenant)) {
    return refuse('INVALID_OBJECTIVE', { field: 'tenant', value: wish.tenant, allowed: caller })
  }
  const resolved = resolveObjective(wish, context.atMs)
  if (!resolved.accepted) return resolved
  for (const { objective } of state.objectives.values()) {
    if (objective.tenant !== wish.tenant || objective.name !== wish.name) continue
    return refuse('OBJECTIVE_EXISTS', { name: wish.name, objectiveId: objective.objectiveId })
  }
  if (state.objectives.size >= MAX_OBJECTIVES) {
    return refuse('TOO_MANY_OBJECTIVES', { max: MAX_OBJECTIVES })
  }
  const objectiveId = `o-0-${context.nonce.slice(0, 12)}`
  const { rules } = resolved
  const objective = { ...wish, rules, objectiveId, version: 1, createdMs: context.atMs }
  return { accepted: true, objective }
}

function createObjective(
  command: CommandOf<'CreateObjective'>,
  state: SlaState,
  context: DecideContext,
): Decision<SlaEvent> {
  const made = declared(command, state, context)
  if (!made.accepted) return made
  const { objective } = made
  return accept<SlaEvent>([{ type: 'ObjectiveDeclared', objective }], {
    answer: { objectiveId: objective.objectiveId },
  })
}

const PROMISE: readonly (keyof ObjectivePromise)[] = [
  'name',
  'tenant',
  'indicator',
  'service',
  'class',
  'queue',
  'targetPpm',
  'thresholdUs',
  'windowMs',
  'excludeShed',
  'countCallerErrors',
]

/** An objective that the caller may touch. */
function findFor(
  state: SlaState,
  { caller, objectiveId }: { readonly caller: string; readonly objectiveId: string },
): ObjectiveState | undefined {
  const of = state.objectives.get(objectiveId)
  return of !== undefined && mayTouch(caller, of.objective.tenant) ? of : undefined
}

/** Ends breaches and what they asked for. */
function endAll(
  of: ObjectiveState,
  cause: 'RULE_CHANGED' | 'OBJECTIVE_DELETED',
  atMs: number,
): { readonly events: SlaEvent[]; readonly cancelTimers: string[] } {
  const untilMs = intervalOf(atMs)
  const { objectiveId, actions } = of.objective
  const events: SlaEvent[] = []
  for (const [index, breach] of of.breaches) events.push(closed(breach, index, { untilMs, cause }))
  for (const action of of.actions.values()) events.push({ type: 'ActionWithdrawn', action })
  return { events, cancelTimers: actions.map((_, step) => stepTimer(objectiveId, step)) }
}

/** Maintenance that has begun stays: what was excluded stays excluded. */
const dropsPast = (before: Objective, wish: ObjectiveWish, atMs: number): boolean =>
  before.maintenance.some(
    ({ fromMs, untilMs }) =>
      fromMs < atMs &&
      !wish.maintenance.some((one) => one.fromMs === fromMs && one.untilMs === untilMs),
  )

function updateObjective(
  command: CommandOf<'UpdateObjective'>,
  state: SlaState,
  { atMs }: DecideContext,
): Decision<SlaEvent> {
  const { objectiveId, version, wish } = command
  const of = findFor(state, command)
  if (of === undefined) return refuse('OBJECTIVE_NOT_FOUND', { objective: objectiveId })
  const before = of.objective
  if (version !== before.version) {
    return refuse('OBJECTIVE_CHANGED', { expected: version, current: before.version })
  }
  const fixed = PROMISE.find((field) => wish[field] !== before[field])
  if (fixed !== undefined) return refuse('OBJECTIVE_PROMISE_FIXED', { field: fixed })
  if (dropsPast(before, wish, atMs)) {
    return refuse('OBJECTIVE_PROMISE_FIXED', { field: 'maintenance' })
  }
  const resolved = resolveObjective(wish, atMs, before.maintenance)
  if (!resolved.accepted) return resolved
  const objective: Objective = { ...before, ...wish, rules: resolved.rules, version: version + 1 }
  const same =
    JSON.stringify([before.rules, before.actions, before.minSample]) ===
    JSON.stringify([objective.rules, objective.actions, objective.minSample])
  const ended = same ? { events: [], cancelTimers: [] } : endAll(of, 'RULE_CHANGED', atMs)
  return accept<SlaEvent>([...ended.events, { type: 'ObjectiveUpdated', objective }], {
    answer: { objectiveId },
    cancelTimers: ended.cancelTimers,
  })
}

function deleteObjective(
  command: CommandOf<'DeleteObjective'>,
  state: SlaState,
  { atMs }: DecideContext,
): Decision<SlaEvent> {
  const of = findFor(state, command)
  if (of === undefined) {
    return refuse('OBJECTIVE_NOT_FOUND', { objective: command.objectiveId })
  }
  const { events, cancelTimers } = endAll(of, 'OBJECTIVE_DELETED', atMs)
  const init = { throughDayMs: dayOf(atMs), atMs, lost: lostTotal(state) }
  for (const statement of statementsOf(of, init))
    events.push({ type: 'StatementClosed', statement })
  events.push({ type: 'ObjectiveDeleted', objective: of.objective })
  const { objectiveId } = of.objective
  return accept(events, { answer: { objectiveId }, cancelTimers })
}

/** Decides one command. Inputs may come in any order and twice: what is known changes nothing. */
export function decide(
  command: Exclude<SlaCommand, { type: 'ReplaceSource' }>,
  state: SlaState,
  context: DecideContext,
): Decision<SlaEvent> {
  switch (command.type) {
    case 'CreateObjective':
      return createObjective(command, state, context)
    case 'UpdateObjective':
      return updateObjective(command, state, context)
    case 'DeleteObjective':
      return deleteObjective(command, state, context)
    case 'CountBatches':
      return countBatches(command, state, context)
    case 'NoteJob':
      return noteJob(command, state, context)
    case 'NameService': {
      const { jobId, name } = command
      if (state.names.get(jobId) === name) return nothing()
      return accept<SlaEvent>([{ type: 'ServiceNamed', jobId, name }])
    }
    case 'ForgetService':
      // What it did not answer because it ended is still on its way.
      if (!state.names.has(command.jobId)) return nothing()
      return accept<SlaEvent>([], {
        timers: [{ key: nameTimer(command.jobId), dueMs: context.atMs + GRACE_MS }],
      })
    case 'DropName':
      if (!state.names.has(command.jobId)) return nothing()
      return accept<SlaEvent>([{ type: 'ServiceForgotten', jobId: command.jobId }])
    case 'Evaluate':
      return evaluate(state, context)
    case 'CloseDay':
      return closeDay(command, state, context)
    case 'JudgeJob':
      return judgeDue(command, state, context)
    case 'TakeStep':
      return takeStep(command, state, context)
    case 'CheckSource':
      return checkSource(command, state, context)
    default:
      return unreachable(command)
  }
}
