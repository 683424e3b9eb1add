/** Defects of fault tolerance: incidents. */
import type { Defect } from './types.ts'

const DECIDE = 'services/fault-tolerance/dist/core/decide.js'

export const faultToleranceDefects: readonly Defect[] = [
  {
    name: 'two-recoverers',
    about:
      'Incidents are kept per rank: when a node takes several ranks of a gang with it, each of ' +
      'them opens an incident of its own, and each asks for a recovery.',
    patches: [
      {
        module: DECIDE,
        find: 'if (open !== undefined && open.generation === generation) {',
        put: 'if (open?.generation === generation && gang.ends.has(end.rank)) {',
      },
    ],
    scenarios: ['nodes', 'chaos'],
    expect: ['recoverers'],
    quick: true,
  },
]
