import type { PublicEvent } from '@serverless-ai/client/events'
import { ActionRequested } from '@serverless-ai/contracts/events/v1/sla_monitor'
import { ActionStep_Action, RequestedAction } from '@serverless-ai/contracts/objective/v1/objective'

/** An action of the objective `fast` of the tenant `a`, as the SLA monitor tells it. */
export function shedEvent(
  more: {
    readonly actionId?: string
    readonly service?: string
    readonly class?: string
    readonly action?: ActionStep_Action
    readonly withdrawnMs?: bigint
  } = {},
): PublicEvent {
  const {
    actionId = 'o:0:1',
    service = '',
    class: className = 'batch',
    action = ActionStep_Action.SHED,
    withdrawnMs = 0n,
  } = more
  const asked = RequestedAction.fromPartial({
    actionId,
    objectiveName: 'fast',
    tenant: 'a',
    service,
    step: { action, class: className },
    withdrawnMs,
  })
  return {
    source: 'sla-monitor',
    partition: 0,
    seq: 1,
    type: 'serverlessai.events.v1.ActionRequested',
    key: 'o',
    tenant: 'a',
    atMs: 0,
    payload: ActionRequested.encode({ action: asked }).finish(),
  }
}
