import {
  accept,
  type DecideContext,
  type Decision,
  refuse,
  unreachable,
} from '@serverless-ai/kernel'
import { isHeld } from './actions.ts'
import { SHORT } from './control.ts'
import { ACTIONS_MAX, OBJECTIVES_MAX, TARGETS_MAX, WAITING_MAX } from './limits.ts'
import {
  type AutoscalerCommand,
  type AutoscalerEvent,
  type JobFact,
  resizeKey,
} from './messages.ts'
import { type AutoscalerState, holdingKey, type Target } from './model.ts'
import { step } from './step.ts'

type CommandOf<T extends AutoscalerCommand['type']> = Extract<AutoscalerCommand, { type: T }>
type Decided = Decision<AutoscalerEvent>

const nothing = (): Decided => accept<AutoscalerEvent>([])
const one = (event: AutoscalerEvent): Decided => accept<AutoscalerEvent>([event])
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

const OVER: ReadonlySet<string> = new Set(['Succeeded', 'Failed', 'Cancelled'])

function ended(target: Target): Decided {
  const { jobId, tenant, pending } = target
  const settles = pending === undefined ? [] : [resizeKey(jobId)]
  return accept<AutoscalerEvent>([{ type: 'TargetEnded', jobId, tenant }], { settles })
}

/** Of a job that is no target matter its queue, where a quota counts it, and its waiting. */
function noteOther(job: JobFact, state: AutoscalerState): Decided {
  const { jobId } = job
  const over = OVER.has(job.state)
  const limited = !over && (state.queues.get(job.queue) ?? 0) > 0
  const queue = limited ? job.queue : ''
  const elastic = [...state.targets.values()].some(({ scale }) => scale?.unit === 'tasks')
  const knows = state.waiting.has(jobId)
  const room = knows || state.waiting.size < WAITING_MAX
  const waits = !over && elastic && room && job.state === 'Queued' && SHORT.has(job.waiting)
  if ((state.jobQueues.get(jobId) ?? '') === queue && knows === waits) return nothing()
  return one({ type: 'OtherJobNoted', jobId, queue, waits })
}

function noteJob({ job }: CommandOf<'NoteJob'>, state: AutoscalerState): Decided {
  const { jobId, scale } = job
  const target = state.targets.get(jobId)
  if (target === undefined && scale === undefined) return noteOther(job, state)
  if (OVER.has(job.state)) return target === undefined ? nothing() : ended(target)
  if (target === undefined && state.targets.size >= TARGETS_MAX) return nothing()
  const seen = target && {
    scale: target.scale,
    state: target.jobState,
    waiting: target.waiting,
    queue: target.queue,
  }
  const now = { scale, state: job.state, waiting: job.waiting, queue: job.queue }
  if (same(seen, now)) return nothing()
  const first = target?.scale === undefined && scale !== undefined
  return one({ type: 'JobNoted', job, first })
}

function declareService(command: CommandOf<'DeclareService'>, state: AutoscalerState): Decided {
  const { jobId, tenant, name, service } = command
  const target = state.targets.get(jobId)
  if (target === undefined && state.targets.size >= TARGETS_MAX) return nothing()
  if (target?.name === name && same(target.service, service)) return nothing()
  return one({ type: 'ServiceNoted', jobId, tenant, name, service })
}

function noteReleased(command: CommandOf<'NoteReleased'>, state: AutoscalerState): Decided {
  const { jobId, gang, through } = command
  const holding = state.holdings.get(holdingKey({ jobId, gang }))
  const held = holding !== undefined && holding.generation <= through
  const starts = state.targets.get(jobId)?.starting.some(([of]) => of === gang) ?? false
  return held || starts ? one({ type: 'GangOver', jobId, gang, through }) : nothing()
}

function notePlaced({ holding }: CommandOf<'NotePlaced'>, state: AutoscalerState): Decided {
  const { jobId, generation, devicesEach } = holding
  if (devicesEach === 0 && !state.targets.has(jobId)) return nothing()
  const known = state.holdings.get(holdingKey(holding))
  if (known !== undefined && known.generation >= generation) return nothing()
  return one({ type: 'GangHeld', holding })
}

function noteObjective(command: CommandOf<'NoteObjective'>, state: AutoscalerState): Decided {
  const { objectiveId, objective } = command
  const known = state.objectives.get(objectiveId)
  if (objective === undefined) {
    return known === undefined ? nothing() : one({ type: 'ObjectiveForgotten', objectiveId })
  }
  if (same(known, objective)) return nothing()
  if (known === undefined && state.objectives.size >= OBJECTIVES_MAX) return nothing()
  return one({ type: 'ObjectiveNoted', objectiveId, objective })
}

function noteForecast(command: CommandOf<'NoteForecast'>, state: AutoscalerState): Decided {
  const { jobId, forecast } = command
  const target = state.targets.get(jobId)
  if (target?.service === undefined || same(target.forecast, forecast)) return nothing()
  const told = forecast === undefined ? {} : { forecast }
  return one({ type: 'ForecastNoted', jobId, ...told })
}

/** More replicas are asked for while an alert of an objective lasts, or no more. */
function noteAction(command: CommandOf<'NoteAction'>, state: AutoscalerState): Decided {
  const { actionId, objectiveId, tenant, service, holds } = command
  if (!holds) return isHeld(state, actionId) ? one({ type: 'ActionOver', actionId }) : nothing()
  if (state.actions.has(actionId) || state.actions.size >= ACTIONS_MAX) return nothing()
  if (service !== '') {
    return one({ type: 'ActionHeld', actionId, scope: { tenant, service, class: '' } })
  }
  // Of jobs, then: replicas of services do not help them.
  const objective = state.objectives.get(objectiveId)
  if (objective === undefined) return nothing()
  const scope = { tenant, service, class: objective.class ?? '' }
  return one({ type: 'ActionHeld', actionId, scope })
}

function settleResize(command: CommandOf<'SettleResize'>, state: AutoscalerState): Decided {
  const { jobId, decisionId, outcome } = command
  if (state.targets.get(jobId)?.pending?.decisionId !== decisionId) return nothing()
  const settled = { type: 'ResizeSettled', jobId, decisionId, outcome } as const
  const target = state.targets.get(jobId)
  const gone =
    outcome.at === 'Refused' &&
    (outcome.code === 'JOB_FINISHED' || outcome.code === 'JOB_NOT_FOUND') &&
    target !== undefined
  const end = gone ? [{ type: 'TargetEnded', jobId, tenant: target.tenant } as const] : []
  return accept<AutoscalerEvent>([settled, ...end])
}

function setMode({ jobId, mode }: CommandOf<'SetMode'>, state: AutoscalerState): Decided {
  const target = state.targets.get(jobId)
  if (target === undefined) return refuse('TARGET_NOT_FOUND', { target: jobId })
  const answer = { jobId }
  if (target.mode === mode) return accept<AutoscalerEvent>([], { answer })
  return accept<AutoscalerEvent>([{ type: 'ModeSet', jobId, mode }], { answer })
}

/** Decides one command. Inputs may come in any order and twice: what is known changes nothing. */
export function decide(
  command: Exclude<AutoscalerCommand, { type: 'ReplaceSource' }>,
  state: AutoscalerState,
  context: DecideContext,
): Decided {
  switch (command.type) {
    case 'NoteJob':
      return noteJob(command, state)
    case 'DeclareService':
      return declareService(command, state)
    case 'EndService': {
      const target = state.targets.get(command.jobId)
      return target === undefined ? nothing() : ended(target)
    }
    case 'NoteQueue': {
      const { queue, devicesMax } = command
      if (state.queues.get(queue) === devicesMax) return nothing()
      return one({ type: 'QueueNoted', queue, devicesMax })
    }
    case 'NotePlaced':
      return notePlaced(command, state)
    case 'NoteReleased':
      return noteReleased(command, state)
    case 'NoteResizing': {
      const { jobId, generation } = command
      const target = state.targets.get(jobId)
      if (target === undefined || target.resizing?.generation === generation) return nothing()
      return one({ type: 'ResizeBegan', jobId, generation })
    }
    case 'NoteNode': {
      const { nodeId, node } = command
      if (same(state.nodes.get(nodeId), node)) return nothing()
      return one({ type: 'NodeNoted', nodeId, node })
    }
    case 'NoteObjective':
      return noteObjective(command, state)
    case 'NoteAction':
      return noteAction(command, state)
    case 'NoteForecast':
      return noteForecast(command, state)
    case 'Step':
      return step(command, state, context)
    case 'SettleResize':
      return settleResize(command, state)
    case 'SetMode':
      return setMode(command, state)
    default:
      return unreachable(command)
  }
}
