import {
  type ActionStep_Action,
  type Indicator as IndicatorProto,
  type Objective as ObjectiveProto,
  type Severity as SeverityProto,
} from '@serverless-ai/contracts/objective/v1/objective'
import { rpcError } from '@serverless-ai/rpc'
import { DAY_MS, type ObjectiveWish } from '../core/model.ts'
import { ACTIONS, INDICATORS, SEVERITIES } from './to-proto.ts'

const DEFAULT_WINDOW_MS = 30 * DAY_MS
const DEFAULT_SAMPLE = 10

const invalid = (field: string, description: string) =>
  rpcError('INVALID_OBJECTIVE', {
    message: `${field} ${description}`,
    metadata: { field },
    violations: [{ field, description }],
  })

function nameOf<N extends string>(
  table: Readonly<Record<N, number>>,
  value: IndicatorProto | SeverityProto | ActionStep_Action,
  field: string,
): N {
  for (const name in table) if (table[name] === value) return name
  throw invalid(field, 'is not set to a value that this version knows')
}

/** An objective as it is asked for. @throws RpcError `INVALID_OBJECTIVE` */
export function wishFromProto(proto: ObjectiveProto | undefined): ObjectiveWish {
  if (proto === undefined) throw invalid('objective', 'is missing')
  const { exclusions } = proto
  return {
    name: proto.name,
    tenant: proto.tenant,
    indicator: nameOf(INDICATORS, proto.indicator, 'objective.indicator'),
    service: proto.service,
    class: proto.class,
    queue: proto.queue,
    targetPpm: proto.targetPpm,
    thresholdUs: Number(proto.thresholdUs),
    windowMs: proto.windowMs === 0n ? DEFAULT_WINDOW_MS : Number(proto.windowMs),
    minSample: proto.minSample === 0 ? DEFAULT_SAMPLE : proto.minSample,
    expectedPerHour: proto.expectedPerHour,
    excludeShed: exclusions?.shed ?? false,
    countCallerErrors: exclusions?.countCallerErrors ?? false,
    maintenance: (exclusions?.maintenance ?? []).map(({ fromMs, untilMs, reason }) => ({
      fromMs: Number(fromMs),
      untilMs: Number(untilMs),
      reason,
    })),
    rules: proto.rules.map((rule) => ({
      severity: nameOf(SEVERITIES, rule.severity, 'objective.rules.severity'),
      budgetPpm: rule.budgetPpm,
      longMs: Number(rule.longWindowMs),
      shortMs: Number(rule.shortWindowMs),
    })),
    actions: proto.actions.map((step) => ({
      action: nameOf(ACTIONS, step.action, 'objective.actions.action'),
      severity: nameOf(SEVERITIES, step.severity, 'objective.actions.severity'),
      afterMs: Number(step.afterMs),
      class: step.class,
    })),
  }
}
