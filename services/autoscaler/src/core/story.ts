/** What happened to a target besides decisions, for people: codes with numbers. */
import { actionsFor, actionsWith } from './actions.ts'
import type { AutoscalerEvent } from './messages.ts'
import { type AutoscalerState, newTarget, type StoryLine, type Target } from './model.ts'

type Line = { readonly jobId: string; readonly line: StoryLine }

const texts = (numbers: Readonly<Record<string, string | number>>): Record<string, string> =>
  Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, String(value)]))

const tellActions = (jobId: string, atMs: number, actionIds: readonly string[]): Line => {
  const code = actionIds.length === 0 ? 'OBJECTIVE_CALM' : 'OBJECTIVE_BREACHED'
  return { jobId, line: { atMs, code, details: { actions: actionIds.join(',') } } }
}

/** What other actions hold for a target, if others do. */
function actionsOf(
  state: Pick<AutoscalerState, 'actions'>,
  target: Target,
  atMs: number,
  over?: string,
): readonly Line[] {
  const now = actionsFor(state.actions, target, over)
  const before = target.urgent?.actionIds ?? []
  const same = now.length === before.length && now.every((id) => before.includes(id))
  return same ? [] : [tellActions(target.jobId, atMs, now)]
}

/** Lines of an event; `state` is the state before it. */
export function storyOf(
  event: AutoscalerEvent,
  state: AutoscalerState,
  atMs: number,
): readonly Line[] {
  const tell = (
    jobId: string,
    code: string,
    details: Record<string, string | number> = {},
  ): Line[] => [{ jobId, line: { atMs, code, details: texts(details) } }]
  switch (event.type) {
    case 'JobNoted': {
      const { jobId, scale } = event.job
      const before = state.targets.get(jobId)?.scale
      if (scale === undefined) return []
      const { min, max, wanted, owner } = scale
      if (event.first) {
        const { tenant, name } = event.job
        const now = { ...(state.targets.get(jobId) ?? newTarget(jobId)), tenant, name, scale }
        const tracked = tell(jobId, 'TARGET_TRACKED', { min, max, wanted })
        return [...tracked, ...actionsOf(state, now, atMs)]
      }
      const moved = before !== undefined && before.owner !== owner
      return moved ? tell(jobId, 'OWNER_CHANGED', { from: before.owner, to: owner, wanted }) : []
    }
    case 'ServiceNoted': {
      const { policy, idleMs } = event.service.settings
      const { jobId, tenant, name, service } = event
      const now = { ...(state.targets.get(jobId) ?? newTarget(jobId)), tenant, name, service }
      const each = service.devicesEach
      const declared = tell(jobId, 'SERVICE_DECLARED', { policy, idleMs, devicesEach: each })
      return [...declared, ...actionsOf(state, now, atMs)]
    }
    case 'ModeSet':
      return tell(event.jobId, 'MODE_SET', { mode: event.mode })
    case 'UrgencyChanged':
      return [tellActions(event.jobId, atMs, event.actionIds)]
    case 'ActionHeld': {
      return [...state.targets.values()].flatMap((target) => {
        const now = actionsWith(target, event.actionId, event.scope)
        return now === undefined ? [] : [tellActions(target.jobId, atMs, now)]
      })
    }
    case 'ActionOver': {
      const { actionId } = event
      const told = [...state.targets.values()].filter(({ urgent }) =>
        urgent?.actionIds.includes(actionId),
      )
      return told.flatMap((target) => actionsOf(state, target, atMs, actionId))
    }
    case 'ResizeSettled': {
      const { jobId, decisionId, outcome } = event
      if (outcome.at === 'Refused') {
        const { code, numbers } = outcome
        return tell(jobId, 'RESIZE_REFUSED', { decision: decisionId, code, ...numbers })
      }
      const { wanted, granted, version } = outcome.scale
      const why = outcome.waiting === '' ? {} : { waiting: outcome.waiting }
      const code = granted < wanted ? 'GRANTED_IN_PART' : 'RESIZED'
      return tell(jobId, code, { decision: decisionId, wanted, granted, version, ...why })
    }
    default:
      return []
  }
}
