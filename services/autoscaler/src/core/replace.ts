import { accept, type DecideContext, type Decision } from '@serverless-ai/kernel'
import { heldActions } from './actions.ts'
import { decide } from './decide.ts'
import { evolve } from './evolve.ts'
import { fromJson, toJson } from './json.ts'
import type { AutoscalerCommand, AutoscalerEvent, AutoscalerInput } from './messages.ts'
import { type AutoscalerState, holdingKey, type Target } from './model.ts'

type Replace = Extract<AutoscalerCommand, { type: 'ReplaceSource' }>
type Told = (type: AutoscalerInput['type']) => ReadonlySet<string>

/** Key of what an input tells, where its absence in a whole telling means that it is gone. */
function keyOf(input: AutoscalerInput): string {
  switch (input.type) {
    case 'NoteJob':
      return input.job.jobId
    case 'NotePlaced':
      return holdingKey(input.holding)
    case 'DeclareService':
      return input.jobId
    case 'NoteNode':
      return input.nodeId
    case 'NoteForecast':
      return input.jobId
    case 'NoteObjective':
      return input.objectiveId
    case 'NoteAction':
      return input.holds ? input.actionId : ''
    default:
      return ''
  }
}

/** What was known of a source and is not told any more. */
function absent(source: string, state: AutoscalerState, told: Told): readonly AutoscalerEvent[] {
  const events: AutoscalerEvent[] = []
  const end = (keep: (target: Target) => boolean) => {
    for (const target of state.targets.values()) {
      const { jobId, tenant } = target
      if (!keep(target)) events.push({ type: 'TargetEnded', jobId, tenant })
    }
  }
  switch (source) {
    case 'scheduler': {
      const jobs = told('NoteJob')
      const placed = told('NotePlaced')
      for (const key of state.holdings.keys()) {
        if (!placed.has(key)) events.push({ type: 'HoldingForgotten', key })
      }
      for (const jobId of new Set([...state.jobQueues.keys(), ...state.waiting])) {
        if (jobs.has(jobId)) continue
        events.push({ type: 'OtherJobNoted', jobId, queue: '', waits: false })
      }
      // A service that was declared a moment ago is not known there yet.
      end(({ jobId, scale }) => jobs.has(jobId) || scale === undefined)
      return events
    }
    case 'mediator': {
      const declared = told('DeclareService')
      end(({ jobId, service }) => service === undefined || declared.has(jobId))
      return events
    }
    case 'pool-manager': {
      const nodes = told('NoteNode')
      for (const nodeId of state.nodes.keys()) {
        if (!nodes.has(nodeId)) events.push({ type: 'NodeForgotten', nodeId })
      }
      return events
    }
    case 'resource-profiler': {
      const forecasts = told('NoteForecast')
      for (const { jobId, forecast } of state.targets.values()) {
        if (forecast === undefined || forecasts.has(jobId)) continue
        events.push({ type: 'ForecastNoted', jobId })
      }
      return events
    }
    default: {
      const objectives = told('NoteObjective')
      const actions = told('NoteAction')
      for (const objectiveId of state.objectives.keys()) {
        if (!objectives.has(objectiveId)) events.push({ type: 'ObjectiveForgotten', objectiveId })
      }
      for (const actionId of heldActions(state)) {
        if (!actions.has(actionId)) events.push({ type: 'ActionOver', actionId })
      }
      return events
    }
  }
}

/** Takes a whole source anew after a gap: what is not told any more is gone. */
export function replaceSource(
  command: Replace,
  state: AutoscalerState,
  context: DecideContext,
): Decision<AutoscalerEvent> {
  const copy = fromJson(toJson(state))
  const events: AutoscalerEvent[] = []
  const settles: string[] = []
  const take = (more: readonly AutoscalerEvent[]): void => {
    for (const event of more) evolve(copy, event, context.atMs)
    events.push(...more)
  }
  const told: Told = (type) =>
    new Set(command.commands.flatMap((one) => (one.type === type ? [keyOf(one)] : [])))
  take(absent(command.source, copy, told))
  for (const input of command.commands) {
    const decision = decide(input, copy, context)
    if (!decision.accepted) continue
    take(decision.events)
    settles.push(...(decision.settles ?? []))
  }
  return accept(events, { settles })
}
