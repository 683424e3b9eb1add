/** Actions of objectives that ask for more replicas: for whom they hold. */
import { TARGET_ACTIONS_KEPT } from './limits.ts'
import type { ActionScope, AutoscalerState, Target } from './model.ts'

/** What of a target decides whether an action holds for it. */
type Meant = Pick<Target, 'jobId' | 'tenant' | 'name' | 'service' | 'scale' | 'urgent'>

/** Whether an action is for a service that both mediator and scheduler have told. */
function isMeant({ tenant, service, class: of }: ActionScope, target: Meant): boolean {
  if (target.service === undefined || target.scale === undefined) return false
  if (tenant !== '' && tenant !== target.tenant) return false
  if (service !== '') return service === target.jobId || service === target.name
  return of === '' || of === target.service.class
}

/**
 * Ids of the actions that hold for a target, the first `TARGET_ACTIONS_KEPT` of them. Logs of
 * before `ActionHeld` name them at the target alone: those stay until they are over.
 */
export function actionsFor(
  actions: AutoscalerState['actions'],
  target: Meant,
  over?: string,
): readonly string[] {
  const before = target.urgent?.actionIds ?? []
  const ids = before.filter((id) => id !== over && !actions.has(id))
  for (const [id, scope] of actions) {
    if (ids.length >= TARGET_ACTIONS_KEPT) break
    if (id !== over && isMeant(scope, target)) ids.push(id)
  }
  return ids
}

/** Whether an action is known, and not over. */
export function isHeld({ actions, targets }: AutoscalerState, actionId: string): boolean {
  if (actions.has(actionId)) return true
  return [...targets.values()].some(({ urgent }) => urgent?.actionIds.includes(actionId))
}

/** All that are known and not over. */
export function heldActions({ actions, targets }: AutoscalerState): ReadonlySet<string> {
  const atTargets = [...targets.values()].flatMap(({ urgent }) => urgent?.actionIds ?? [])
  return new Set([...actions.keys(), ...atTargets])
}

/** Sets the actions of a target. What they ask for is fixed when the first begins to hold. */
export function setActions(target: Target, actionIds: readonly string[]): void {
  const least = target.urgent?.least ?? (target.scale?.wanted ?? 0) + 1
  target.urgent = actionIds.length === 0 ? undefined : { actionIds, least }
}

/** A target came into being, or into the scope of other actions. Changes it in place. */
export function comeUnder({ actions }: AutoscalerState, target: Target): void {
  setActions(target, actionsFor(actions, target))
}

/**
 * Ids of the actions of a target when one begins to hold; undefined = as before. Looks at that one
 * alone: there may be thousands of targets and hundreds of actions.
 */
export function actionsWith(
  target: Meant,
  actionId: string,
  scope: ActionScope,
): readonly string[] | undefined {
  const before = target.urgent?.actionIds ?? []
  const meant = isMeant(scope, target)
  if (before.includes(actionId)) return meant ? undefined : before.filter((id) => id !== actionId)
  return meant && before.length < TARGET_ACTIONS_KEPT ? [...before, actionId] : undefined
}

/** An action begins to hold. Changes `state` in place. */
export function holdAction(state: AutoscalerState, actionId: string, scope: ActionScope): void {
  state.actions.set(actionId, scope)
  for (const target of state.targets.values()) {
    const now = actionsWith(target, actionId, scope)
    if (now !== undefined) setActions(target, now)
  }
}

/** An action is over. Changes `state` in place. */
export function endAction({ actions, targets }: AutoscalerState, actionId: string): void {
  actions.delete(actionId)
  for (const target of targets.values()) {
    if (!target.urgent?.actionIds.includes(actionId)) continue
    setActions(target, actionsFor(actions, target, actionId))
  }
}
