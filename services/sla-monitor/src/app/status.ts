/** How an objective stands, from the state, at a time. */
import type {
  BurnState,
  ObjectiveStatus,
  Statement as StatementProto,
} from '@serverless-ai/contracts/objective/v1/objective'
import {
  actionToProto,
  breachToProto,
  countsToProto,
  objectiveToProto,
  ruleToProto,
  statementToProto,
} from '../adapters/to-proto.ts'
import { budgetLeftPpm, burnMilli } from '../core/burn.ts'
import { heldBy, isBurning, windowsOf } from '../core/evaluate.ts'
import {
  intervalOf,
  isJobIndicator,
  type Ledger,
  type ObjectiveState,
  type SlaState,
} from '../core/model.ts'
import { sumOf } from '../core/ring.ts'
import { dataState, lostTotal } from '../core/sources.ts'

const optional = <K extends string>(name: K, value: number | undefined) =>
  value === undefined ? {} : { [name]: BigInt(value) }

function burnState(of: ObjectiveState, index: number, atMs: number): BurnState[] {
  const rule = of.objective.rules[index]
  const ring = of.rings[index]
  if (rule === undefined || ring === undefined) return []
  const windows = windowsOf(ring, rule, intervalOf(atMs))
  const { targetPpm, minSample } = of.objective
  const { long, short } = windows
  const breachId = of.breaches.get(index)?.breachId ?? ''
  const burns = isBurning(of, rule, windows)
  return [
    {
      rule: ruleToProto(rule),
      ...optional('longBurnMilli', burnMilli(targetPpm, long)),
      ...optional('shortBurnMilli', burnMilli(targetPpm, short)),
      longEvents: BigInt(long.events),
      longBad: BigInt(long.bad),
      heldBy: burns && breachId === '' ? (heldBy(minSample, rule, long) ?? '') : '',
      breachId,
    },
  ]
}

function stateOf(of: ObjectiveState, events: number): string {
  const severities = [...of.breaches.values()].map(({ rule }) => rule.severity)
  if (severities.includes('page')) return 'BREACHED'
  if (severities.length > 0) return 'WARNING'
  return events === 0 ? 'NO_DATA' : 'OK'
}

/** The status at `atMs`, which is not before the last commit. */
export function statusOf(of: ObjectiveState, state: SlaState, atMs: number): ObjectiveStatus {
  const { objective, budget, aside } = of
  const { targetPpm } = objective
  // The bucket that is being filled counts as well: people want to see what just happened.
  const counts = sumOf(budget, Math.floor(atMs / budget.bucketMs) + 1, objective.windowMs)
  const { events, bad } = counts
  const left = budgetLeftPpm(targetPpm, counts)
  return {
    state: stateOf(of, events),
    objective: objectiveToProto(objective),
    counts: countsToProto({ good: events - bad, bad, ...aside }),
    ...(events > 0 && { attainedPpm: Math.floor(((events - bad) * 1e6) / events) }),
    ...optional('budgetLeftPpm', left),
    burns: objective.rules.flatMap((_, index) => burnState(of, index, atMs)),
    breaches: [...of.breaches.values()].map((breach) => breachToProto(breach, objective)),
    actions: [...of.actions.values()].map((action) => actionToProto(action, objective)),
    dataState: isJobIndicator(objective.indicator) ? 'OK' : dataState(state.sources.values()),
    atMs: BigInt(Math.trunc(atMs)),
  }
}

/** Days that are open, oldest first. */
export function openDays(
  of: ObjectiveState,
  { tenant, ledger }: { readonly tenant: string; readonly ledger: Ledger },
  state: SlaState,
): StatementProto[] {
  const { objectiveId, name, targetPpm } = of.objective
  const lostBatchesTotal = lostTotal(state)
  return [...ledger.open]
    .sort(([a], [b]) => a - b)
    .map(([dayMs, { counts, throughCount }]) =>
      statementToProto(
        {
          objectiveId,
          tenant,
          number: 0,
          dayMs,
          counts,
          targetPpm,
          throughCount,
          lostBatchesTotal,
          closedMs: 0,
          previousHash: ledger.hash,
          hash: '',
        },
        name,
      ),
    )
}
