import { CLAUSES_MAX, WAIT_MISS_PPM, WAIT_US } from './limits.ts'
import type { AutoscalerState, Clause, Target } from './model.ts'

/** Where nobody declared an objective: answered, and held for a second at most. */
const DEFAULT: Clause = { indicator: 'wait', thresholdUs: WAIT_US, missPpm: WAIT_MISS_PPM }

/** What requests of a service are to keep: of its objectives, or of none. */
export function clausesOf(state: AutoscalerState, target: Target): readonly Clause[] {
  const named = target.service?.objectives ?? []
  const found = [...state.objectives]
    .filter(([, { name, tenant, service, class: of }]) => {
      if (of !== undefined) return false
      if (tenant !== '' && tenant !== target.tenant) return false
      return service === target.jobId || service === target.name || named.includes(name)
    })
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, CLAUSES_MAX)
    .map(([, { clause }]) => clause)
  return found.length === 0 ? [DEFAULT] : found
}
