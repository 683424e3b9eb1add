import type { Reason } from './types.ts'

/** A reason as flat names and numbers, for stories: `devices.want` → `4`. */
export function reasonDetails(reason: Reason): Record<string, string> {
  const details: Record<string, string> = {
    reason: reason.code,
    nodesTotal: String(reason.nodesTotal),
    nodesFiltered: String(reason.nodesFiltered),
  }
  if (reason.untilMs > 0) details['untilMs'] = String(reason.untilMs)
  for (const shortfall of reason.shortfalls) {
    const name = shortfall.perTask ? `${shortfall.dimension}PerTask` : shortfall.dimension
    details[`${name}.want`] = String(shortfall.want)
    details[`${name}.free`] = String(shortfall.free)
    details[`${name}.total`] = String(shortfall.total)
    if (shortfall.nodeId !== '') details[`${name}.node`] = shortfall.nodeId
  }
  return details
}
