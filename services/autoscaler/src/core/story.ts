/** What happened to a target besides decisions, for people: codes with numbers. */
import type { AutoscalerEvent } from './messages.ts'
import type { AutoscalerState, StoryLine } from './model.ts'

type Line = { readonly jobId: string; readonly line: StoryLine }

const texts = (numbers: Readonly<Record<string, string | number>>): Record<string, string> =>
  Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, String(value)]))

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
      if (event.first) return tell(jobId, 'TARGET_TRACKED', { min, max, wanted })
      const moved = before !== undefined && before.owner !== owner
      return moved ? tell(jobId, 'OWNER_CHANGED', { from: before.owner, to: owner, wanted }) : []
    }
    case 'ServiceNoted': {
      const { policy, idleMs } = event.service.settings
      const { jobId, service } = event
      const each = service.devicesEach
      return tell(jobId, 'SERVICE_DECLARED', { policy, idleMs, devicesEach: each })
    }
    case 'ModeSet':
      return tell(event.jobId, 'MODE_SET', { mode: event.mode })
    case 'UrgencyChanged': {
      const { jobId, actionIds } = event
      const code = actionIds.length === 0 ? 'OBJECTIVE_CALM' : 'OBJECTIVE_BREACHED'
      return tell(jobId, code, { actions: actionIds.join(',') })
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
