import {
  ActionRequested,
  ObjectiveBreached,
  ObjectiveChanged,
  ObjectiveRecovered,
  OutcomesCounted,
  StatementClosed,
  TelemetryCounted,
  TelemetrySourceChanged,
} from '@serverless-ai/contracts/events/v1/sla_monitor'
import { EVENTS } from '@serverless-ai/contracts/names'
import { invariant } from '@serverless-ai/kernel'
import type { PublicDraft } from '@serverless-ai/runtime'
import type { CountRow, SlaEvent } from '../core/messages.ts'
import { type Objective, OTHER_TENANTS, type SlaState } from '../core/model.ts'
import { countsOf } from '../core/rows.ts'
import {
  actionToProto,
  breachToProto,
  countsToProto,
  objectiveToProto,
  sourceToProto,
  statementToProto,
} from './to-proto.ts'

type EventOf<T extends SlaEvent['type']> = Extract<SlaEvent, { type: T }>

const draft = (
  name: string,
  { objectiveId, tenant }: Pick<Objective, 'objectiveId' | 'tenant'>,
  payload: Uint8Array,
): PublicDraft => ({ type: `${EVENTS}${name}`, key: objectiveId, tenant, payload })

/** What only operators may see. */
const operators = (name: string, key: string, payload: Uint8Array): PublicDraft => ({
  type: `${EVENTS}${name}`,
  key,
  tenant: '',
  payload,
})

function objectiveOf(state: SlaState, objectiveId: string): Objective {
  const found = state.objectives.get(objectiveId)
  invariant(found !== undefined, `the unknown objective ${objectiveId}`)
  return found.objective
}

function changed(objective: Objective, atMs: number, deleted: boolean): PublicDraft {
  const message = { objective: objectiveToProto(objective), deleted, atMs: BigInt(atMs) }
  return draft('ObjectiveChanged', objective, ObjectiveChanged.encode(message).finish())
}

/** One event for each objective and tenant. */
function outcomes(
  rows: readonly CountRow[],
  init: { readonly number: number; readonly jobId: string; readonly atMs: number },
): PublicDraft[] {
  const groups = Map.groupBy(rows, ([objectiveId, tenant]) => `${objectiveId}\n${tenant}`)
  return [...groups.values()].flatMap((group) => {
    const [first] = group
    if (first === undefined) return []
    const [objectiveId, tenant] = first
    const payload = OutcomesCounted.encode({
      number: BigInt(init.number),
      objectiveId,
      tenant,
      intervals: group.map((row) => ({
        startMs: BigInt(row[2]),
        counts: countsToProto(countsOf(row)),
      })),
      jobId: init.jobId,
      atMs: BigInt(init.atMs),
    }).finish()
    const seenBy = tenant === OTHER_TENANTS ? '' : tenant
    return [draft('OutcomesCounted', { objectiveId, tenant: seenBy }, payload)]
  })
}

function counted(event: EventOf<'OutcomesCounted'>, atMs: number): PublicDraft[] {
  const message: TelemetryCounted = {
    number: BigInt(event.number),
    batches: event.batches.map(([source, bootId, first, last]) => ({
      source,
      bootId,
      firstSeq: BigInt(first),
      lastSeq: BigInt(last),
    })),
    openFromMs: BigInt(event.openFromMs),
    futureFromMs: BigInt(event.futureFromMs),
    lateSamples: BigInt(event.late),
    futureSamples: BigInt(event.future),
    rejectedSamples: BigInt(event.rejected),
    lostBatchesTotal: BigInt(event.lostTotal),
    atMs: BigInt(atMs),
  }
  const key = event.batches[0]?.[0] ?? ''
  const payload = TelemetryCounted.encode(message).finish()
  return [
    operators('TelemetryCounted', key, payload),
    ...outcomes(event.rows, { number: event.number, jobId: '', atMs }),
  ]
}

function sourceChanged(name: string, state: SlaState, atMs: number): PublicDraft[] {
  const source = state.sources.get(name)
  if (source === undefined) return []
  const message = { source: sourceToProto(source), atMs: BigInt(atMs) }
  return [
    operators('TelemetrySourceChanged', name, TelemetrySourceChanged.encode(message).finish()),
  ]
}

function breached(event: EventOf<'BreachOpened'>, state: SlaState): PublicDraft {
  const objective = objectiveOf(state, event.breach.objectiveId)
  const breach = breachToProto(event.breach, objective)
  return draft('ObjectiveBreached', objective, ObjectiveBreached.encode({ breach }).finish())
}

function recovered(event: EventOf<'BreachClosed'>, state: SlaState): PublicDraft {
  const objective = objectiveOf(state, event.breach.objectiveId)
  const breach = breachToProto(event.breach, objective, event)
  return draft('ObjectiveRecovered', objective, ObjectiveRecovered.encode({ breach }).finish())
}

function requested(
  event: EventOf<'ActionRequested' | 'ActionWithdrawn'>,
  state: SlaState,
  atMs: number,
): PublicDraft {
  const objective = objectiveOf(state, event.action.objectiveId)
  const withdrawnMs = event.type === 'ActionWithdrawn' ? atMs : 0
  const action = actionToProto(event.action, objective, withdrawnMs)
  return draft('ActionRequested', objective, ActionRequested.encode({ action }).finish())
}

function statementClosed(event: EventOf<'StatementClosed'>, state: SlaState): PublicDraft {
  const { statement } = event
  const { objectiveId, name } = objectiveOf(state, statement.objectiveId)
  const tenant = statement.tenant === OTHER_TENANTS ? '' : statement.tenant
  const payload = StatementClosed.encode({ statement: statementToProto(statement, name) }).finish()
  return draft('StatementClosed', { objectiveId, tenant }, payload)
}

/** Public events of a domain event. */
export function publish(event: SlaEvent, state: SlaState, atMs: number): readonly PublicDraft[] {
  switch (event.type) {
    case 'ObjectiveDeclared':
    case 'ObjectiveUpdated':
      return [changed(event.objective, atMs, false)]
    case 'ObjectiveDeleted':
      return [changed(event.objective, atMs, true)]
    case 'OutcomesCounted':
      return counted(event, atMs)
    case 'JobOutcomesCounted': {
      const { rows, number, jobId } = event
      return outcomes(rows, { number, jobId, atMs })
    }
    case 'SourceJudged':
      return sourceChanged(event.source, state, atMs)
    case 'BreachOpened':
      return [breached(event, state)]
    case 'BreachClosed':
      return [recovered(event, state)]
    case 'ActionRequested':
    case 'ActionWithdrawn':
      return [requested(event, state, atMs)]
    case 'StatementClosed':
      return [statementClosed(event, state)]
    default:
      return []
  }
}

/** The present state as public events. */
export function* snapshotFeed(state: SlaState): Iterable<PublicDraft> {
  for (const of of state.objectives.values()) {
    yield changed(of.objective, of.objective.createdMs, false)
    for (const [rule, breach] of of.breaches) {
      yield breached({ type: 'BreachOpened', rule, breach }, state)
    }
    for (const action of of.actions.values()) {
      yield requested({ type: 'ActionRequested', action }, state, action.atMs)
    }
    for (const ledger of of.ledgers.values()) {
      const statement = ledger.statements.at(-1)
      if (statement !== undefined) {
        yield statementClosed({ type: 'StatementClosed', statement }, state)
      }
    }
  }
}
