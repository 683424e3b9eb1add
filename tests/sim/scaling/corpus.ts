import { hpa, kpa, ours } from '../../load/baselines/policies.ts'
import type { AnyPolicy } from '../../load/baselines/rig.ts'
import { DEAF, RUNAWAY, STUCK_HIGH } from './growth.ts'
import { FLAPPING, FROM_ZERO, UNSAFE } from './steady.ts'
import type { Scenario } from './world.ts'

/** Public failures of autoscalers, each with what must hold instead. */
export const CORPUS: readonly Scenario[] = [
  ...RUNAWAY,
  ...FLAPPING,
  ...DEAF,
  ...STUCK_HIGH,
  ...UNSAFE,
  ...FROM_ZERO,
]

/** Ours in a scenario: told the start-up time and the objective, nothing else. */
export function oursFor(scenario: Scenario): AnyPolicy {
  const { objective } = scenario.world()
  return ours(scenario.startupMs, {
    historyMs: 600_000,
    ...(objective === undefined ? {} : { objective }),
  })
}

/**
 * The baselines with their own defaults, aimed at seven requests at once per replica, which is what
 * a replica of the scenarios bears.
 */
export const BASELINES: readonly AnyPolicy[] = [kpa(10), hpa('outstanding', 7)]
