import { ActionRequested, ObjectiveChanged } from '@serverless-ai/contracts/events/v1/sla_monitor'
import { EVENTS } from '@serverless-ai/contracts/names'
import {
  ActionStep_Action,
  Indicator,
  Objective,
  RequestedAction,
} from '@serverless-ai/contracts/objective/v1/objective'
import type { PublicEvent } from '@serverless-ai/runtime'
import { describe, expect, it } from 'vitest'
import { inputs } from './inputs.ts'

const event = (name: string, payload: Uint8Array): PublicEvent => ({
  source: 'sla-monitor',
  partition: 0,
  seq: 1,
  type: `${EVENTS}${name}`,
  key: 'o-1',
  tenant: 'team-a',
  atMs: 0,
  payload,
})
const commandOf = (told: PublicEvent) =>
  inputs.find(({ service }) => service === 'sla-monitor')?.toCommand(told)

const asked = (more: Partial<RequestedAction>) => {
  const base = { actionId: 'o-1:0:1', objectiveId: 'o-1', tenant: 'team-a' }
  const step = { action: ActionStep_Action.SCALE }
  const action = RequestedAction.fromPartial({ ...base, step, ...more })
  return commandOf(event('ActionRequested', ActionRequested.encode({ action }).finish()))
}

const declared = (more: Partial<Objective>) => {
  const base = { objectiveId: 'o-1', name: 'fast', tenant: 'team-a', targetPpm: 990_000 }
  const objective = Objective.fromPartial({ ...base, indicator: Indicator.TTFT, ...more })
  const changed = { objective, deleted: false, atMs: 0n }
  return commandOf(event('ObjectiveChanged', ObjectiveChanged.encode(changed).finish()))
}

describe('what the SLA monitor tells', () => {
  it('actions to scale are taken with a service and without one', () => {
    const base = { type: 'NoteAction', actionId: 'o-1:0:1', objectiveId: 'o-1', tenant: 'team-a' }
    expect(asked({ service: 'chat' })).toEqual({ ...base, service: 'chat', holds: true })
    expect(asked({})).toEqual({ ...base, service: '', holds: true })
    expect(asked({ withdrawnMs: 1n })).toEqual({ ...base, service: '', holds: false })
    const shed = RequestedAction.fromPartial({ step: { action: ActionStep_Action.SHED } })
    expect(asked({ step: shed.step! })).toBeUndefined()
  })

  it('objectives of requests are taken with their class, those of jobs are not', () => {
    const clause = { indicator: 'ttft', thresholdUs: 0, missPpm: 10_000 }
    const objective = { name: 'fast', tenant: 'team-a', service: '', clause }
    const base = { type: 'NoteObjective', objectiveId: 'o-1' }
    expect(declared({})).toEqual({ ...base, objective })
    const ofClass = { ...objective, class: 'interactive' }
    expect(declared({ class: 'interactive' })).toEqual({ ...base, objective: ofClass })
    expect(declared({ indicator: Indicator.QUEUE_WAIT })).toEqual(base)
  })
})
