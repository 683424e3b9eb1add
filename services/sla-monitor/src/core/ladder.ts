/** The ladder: what is asked for while a breach lasts. */
import { accept, type DecideContext, type Decision, type TimerRequest } from '@serverless-ai/kernel'
import { type SlaCommand, type SlaEvent, stepTimer } from './messages.ts'
import type { Breach, ObjectiveState, RequestedAction, SlaState } from './model.ts'

const requested = (
  of: ObjectiveState,
  init: { step: number; breachId: string; atMs: number; number: number },
): RequestedAction => {
  const { objectiveId } = of.objective
  const { step, breachId, atMs, number } = init
  return { actionId: `${objectiveId}:${step}:${number}`, objectiveId, step, breachId, atMs }
}

/** What a new breach asks for at once, and when the next steps are due. */
export function firstActions(
  of: ObjectiveState,
  breach: Breach,
  atMs: number,
  soFar: readonly SlaEvent[],
): { readonly events: SlaEvent[]; readonly timers: TimerRequest[] } {
  const { objectiveId } = of.objective
  const asked = soFar.filter(
    (event) => event.type === 'ActionRequested' && event.action.objectiveId === objectiveId,
  ).length
  const opened = soFar.filter(
    (event) =>
      event.type === 'BreachOpened' &&
      event.breach.objectiveId === objectiveId &&
      event.breach.rule.severity === breach.rule.severity,
  ).length
  // Another alert of this severity lasts already, or begins with it: its steps are on their way.
  const lasting = [...of.breaches.values()].some(
    ({ rule }) => rule.severity === breach.rule.severity,
  )
  const events: SlaEvent[] = []
  const timers: TimerRequest[] = []
  if (lasting || opened > 1) return { events, timers }
  for (const [step, { severity, afterMs }] of of.objective.actions.entries()) {
    if (severity !== breach.rule.severity || of.actions.has(step)) continue
    if (afterMs > 0) {
      timers.push({ key: stepTimer(objectiveId, step), dueMs: atMs + afterMs })
      continue
    }
    const number = of.actionNumber + asked + events.length + 1
    const { breachId } = breach
    const action = requested(of, { step, breachId, atMs, number })
    events.push({ type: 'ActionRequested', action })
  }
  return { events, timers }
}

/** A later step is due: asked for if the breach lasts. */
export function takeStep(
  command: Extract<SlaCommand, { type: 'TakeStep' }>,
  state: SlaState,
  { atMs }: DecideContext,
): Decision<SlaEvent> {
  const { objectiveId, step } = command
  const of = state.objectives.get(objectiveId)
  const rung = of?.objective.actions[step]
  if (of === undefined || rung === undefined || of.actions.has(step)) return accept<SlaEvent>([])
  const breach = [...of.breaches.values()].find(({ rule }) => rule.severity === rung.severity)
  if (breach === undefined) return accept<SlaEvent>([])
  const number = of.actionNumber + 1
  const { breachId } = breach
  const action = requested(of, { step, breachId, atMs, number })
  return accept<SlaEvent>([{ type: 'ActionRequested', action }])
}

/** What is no longer asked for once only the breaches of these rules last. */
export function withdrawals(
  of: ObjectiveState,
  open: ReadonlySet<number>,
): { readonly events: SlaEvent[]; readonly cancelTimers: string[] } {
  const { objective } = of
  const severities = new Set([...open].map((index) => objective.rules[index]?.severity))
  const had = new Set([...of.breaches.values()].map(({ rule }) => rule.severity))
  const events: SlaEvent[] = []
  const cancelTimers: string[] = []
  for (const [step, { severity, afterMs }] of objective.actions.entries()) {
    if (severities.has(severity) || !had.has(severity)) continue
    const action = of.actions.get(step)
    if (action !== undefined) events.push({ type: 'ActionWithdrawn', action })
    else if (afterMs > 0) cancelTimers.push(stepTimer(objective.objectiveId, step))
  }
  return { events, cancelTimers }
}
