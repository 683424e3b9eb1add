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
