import { faultToleranceDefects } from './fault-tolerance.ts'
import { nodeAgentDefects } from './node-agent.ts'
import { poolManagerDefects } from './pool-manager.ts'
import { runtimeDefects } from './runtime.ts'
import { schedulerDefects } from './scheduler.ts'
import type { Defect } from './types.ts'

export type { Defect, Patch, Source } from './types.ts'

/** All seeded defects. */
export const DEFECTS: readonly Defect[] = [
  ...runtimeDefects,
  ...schedulerDefects,
  ...poolManagerDefects,
  ...faultToleranceDefects,
  ...nodeAgentDefects,
]

/** The defect of a name. Throws RangeError that lists the names. */
export function defectOf(name: string): Defect {
  const found = DEFECTS.find((defect) => defect.name === name)
  if (found !== undefined) return found
  const names = DEFECTS.map((defect) => defect.name).join(', ')
  throw new RangeError(`DEFECT_UNKNOWN: no defect '${name}'; there are: ${names}`)
}
