/** What happened to an objective, for people: codes with numbers. */
import type { SlaEvent } from './messages.ts'
import type { Breach, StoryLine } from './model.ts'

const texts = (numbers: Record<string, string | number>): Record<string, string> =>
  Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, String(value)]))

const ofBreach = (breach: Breach): Record<string, string | number> => ({
  breach: breach.breachId,
  severity: breach.rule.severity,
  longMs: breach.rule.longMs,
  shortMs: breach.rule.shortMs,
  burnMilli: breach.rule.burnMilli,
  longEvents: breach.long.events,
  longBad: breach.long.bad,
  shortEvents: breach.short.events,
  shortBad: breach.short.bad,
  counts: `${breach.firstCount}-${breach.lastCount}`,
})

/** The line of an event and the objective that it belongs to; undefined = none is told. */
export function storyOf(
  event: SlaEvent,
  atMs: number,
): { readonly objectiveId: string; readonly line: StoryLine } | undefined {
  const told = (objectiveId: string, code: string, details: Record<string, string | number>) => ({
    objectiveId,
    line: { atMs, code, details: texts(details) },
  })
  switch (event.type) {
    case 'ObjectiveDeclared':
    case 'ObjectiveUpdated': {
      const { objectiveId, version, targetPpm } = event.objective
      const code = event.type === 'ObjectiveDeclared' ? 'OBJECTIVE_DECLARED' : 'OBJECTIVE_UPDATED'
      return told(objectiveId, code, { version, targetPpm })
    }
    case 'BreachOpened': {
      const { breach } = event
      const numbers = { ...ofBreach(breach), fromMs: breach.fromMs }
      return told(breach.objectiveId, 'OBJECTIVE_BREACHED', numbers)
    }
    case 'BreachClosed': {
      const { breach, untilMs, cause } = event
      const lastedMs = Math.max(0, untilMs - breach.fromMs)
      const numbers = { breach: breach.breachId, cause, untilMs, lastedMs }
      return told(breach.objectiveId, 'OBJECTIVE_RECOVERED', numbers)
    }
    case 'ActionRequested':
    case 'ActionWithdrawn': {
      const { objectiveId, actionId, step, breachId } = event.action
      const code = event.type === 'ActionRequested' ? 'ACTION_REQUESTED' : 'ACTION_WITHDRAWN'
      return told(objectiveId, code, { action: actionId, step, breach: breachId })
    }
    case 'StatementClosed': {
      const { objectiveId, tenant, number, dayMs, counts, hash } = event.statement
      const { good, bad } = counts
      return told(objectiveId, 'STATEMENT_CLOSED', { tenant, number, dayMs, good, bad, hash })
    }
    default:
      return undefined
  }
}
