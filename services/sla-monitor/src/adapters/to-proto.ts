import {
  ActionStep_Action,
  type ActionStep as ActionStepProto,
  type Breach as BreachProto,
  type BurnRule as BurnRuleProto,
  type Counts as CountsProto,
  Indicator as IndicatorProto,
  type Objective as ObjectiveProto,
  type RequestedAction as RequestedActionProto,
  Severity as SeverityProto,
  type Statement as StatementProto,
  type TelemetrySource,
} from '@serverless-ai/contracts/objective/v1/objective'
import { burnMilli } from '../core/burn.ts'
import type {
  ActionName,
  ActionStep,
  Breach,
  BreachEnd,
  BurnRule,
  Counts,
  Indicator,
  Objective,
  RequestedAction,
  Severity,
  SlaState,
  SourceState,
  Statement,
} from '../core/model.ts'
import { missingOf } from '../core/sources.ts'

export const INDICATORS: Readonly<Record<Indicator, IndicatorProto>> = {
  ttft: IndicatorProto.TTFT,
  tpot: IndicatorProto.TPOT,
  e2e: IndicatorProto.E2E,
  availability: IndicatorProto.AVAILABILITY,
  queue_wait: IndicatorProto.QUEUE_WAIT,
  finish_by: IndicatorProto.FINISH_BY,
}

export const SEVERITIES: Readonly<Record<Severity, SeverityProto>> = {
  page: SeverityProto.PAGE,
  ticket: SeverityProto.TICKET,
}

export const ACTIONS: Readonly<Record<ActionName, ActionStep_Action>> = {
  alert: ActionStep_Action.ALERT,
  scale: ActionStep_Action.SCALE,
  shed: ActionStep_Action.SHED,
  migrate: ActionStep_Action.MIGRATE,
  preempt: ActionStep_Action.PREEMPT,
  credit: ActionStep_Action.CREDIT,
}

const big = (value: number): bigint => BigInt(Math.trunc(value))

export const countsToProto = (counts: Counts): CountsProto => ({
  good: big(counts.good),
  bad: big(counts.bad),
  excluded: big(counts.excluded),
  unknown: big(counts.unknown),
  late: big(counts.late),
})

export const ruleToProto = (rule: BurnRule): BurnRuleProto => ({
  severity: SEVERITIES[rule.severity],
  budgetPpm: rule.budgetPpm,
  longWindowMs: big(rule.longMs),
  shortWindowMs: big(rule.shortMs),
  intervalMs: big(rule.bucketMs),
  burnMilli: big(rule.burnMilli),
  minBad: rule.minBad,
  falseAlertsMicro: big(rule.falseAlertsMicro),
  minRatePerHour: big(rule.minRatePerHour),
  outageDetectionMs: big(rule.outageDetectionMs),
  powerMicro: rule.powerMicro,
})

export const stepToProto = (step: ActionStep): ActionStepProto => ({
  action: ACTIONS[step.action],
  severity: SEVERITIES[step.severity],
  afterMs: big(step.afterMs),
  class: step.class,
})

export const objectiveToProto = (objective: Objective): ObjectiveProto => ({
  objectiveId: objective.objectiveId,
  name: objective.name,
  tenant: objective.tenant,
  indicator: INDICATORS[objective.indicator],
  service: objective.service,
  class: objective.class,
  queue: objective.queue,
  targetPpm: objective.targetPpm,
  thresholdUs: big(objective.thresholdUs),
  windowMs: big(objective.windowMs),
  minSample: objective.minSample,
  expectedPerHour: objective.expectedPerHour,
  exclusions: {
    shed: objective.excludeShed,
    countCallerErrors: objective.countCallerErrors,
    maintenance: objective.maintenance.map(({ fromMs, untilMs, reason }) => ({
      fromMs: big(fromMs),
      untilMs: big(untilMs),
      reason,
    })),
  },
  rules: objective.rules.map(ruleToProto),
  actions: objective.actions.map(stepToProto),
  version: objective.version,
  createdMs: big(objective.createdMs),
})

/** What an entity of an objective is told with. */
const named = ({ objectiveId, name, tenant, service }: Objective) => ({
  objectiveId,
  objectiveName: name,
  tenant,
  service,
})

export function breachToProto(
  breach: Breach,
  objective: Objective,
  end?: { readonly untilMs: number; readonly cause: BreachEnd },
): BreachProto {
  const { targetPpm } = objective
  return {
    ...named(objective),
    breachId: breach.breachId,
    rule: ruleToProto(breach.rule),
    fromMs: big(breach.fromMs),
    untilMs: big(end?.untilMs ?? 0),
    longBurnMilli: big(burnMilli(targetPpm, breach.long) ?? 0),
    shortBurnMilli: big(burnMilli(targetPpm, breach.short) ?? 0),
    longEvents: big(breach.long.events),
    longBad: big(breach.long.bad),
    shortEvents: big(breach.short.events),
    shortBad: big(breach.short.bad),
    firstCount: big(breach.firstCount),
    lastCount: big(breach.lastCount),
    cause: end?.cause ?? '',
  }
}

export function actionToProto(
  action: RequestedAction,
  objective: Objective,
  withdrawnMs = 0,
): RequestedActionProto {
  const step = objective.actions[action.step]
  return {
    ...named(objective),
    actionId: action.actionId,
    breachId: action.breachId,
    step: step === undefined ? undefined : stepToProto(step),
    atMs: big(action.atMs),
    withdrawnMs: big(withdrawnMs),
  }
}

export const statementToProto = (statement: Statement, objectiveName: string): StatementProto => ({
  objectiveId: statement.objectiveId,
  objectiveName,
  tenant: statement.tenant,
  number: big(statement.number),
  dayMs: big(statement.dayMs),
  counts: countsToProto(statement.counts),
  targetPpm: statement.targetPpm,
  throughCount: big(statement.throughCount),
  lostBatchesTotal: big(statement.lostBatchesTotal),
  closedMs: big(statement.closedMs),
  previousHash: statement.previousHash,
  hash: statement.hash,
})

export const sourceToProto = (source: SourceState): TelemetrySource => ({
  source: source.source,
  bootId: source.boots[0]?.bootId ?? '',
  state: source.health,
  batches: big(source.batches),
  missingBatches: big(missingOf(source)),
  lostBatches: big(source.lost),
  droppedSamples: big(source.dropped),
  rejectedSamples: big(source.rejected),
  futureSamples: big(source.future),
  lateSamples: big(source.late),
  heardMs: big(source.heardMs),
  offsetMs: big(source.offsetMs),
})

/** All sources, by name. */
export const sourcesToProto = (state: SlaState): TelemetrySource[] =>
  [...state.sources.values()].sort((a, b) => (a.source < b.source ? -1 : 1)).map(sourceToProto)
