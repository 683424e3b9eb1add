/** Defects of fault tolerance: incidents, checkpoints. */
import type { Defect } from './types.ts'

const DECIDE = 'services/fault-tolerance/dist/core/decide.js'

export const faultToleranceDefects: readonly Defect[] = [
  {
    name: 'incident-twice',
    about:
      'An end that is heard of after the judgement opens a second incident of its generation, ' +
      'instead of being evidence of the first.',
    patches: [
      {
        module: DECIDE,
        find: 'if (open !== undefined && open.generation === generation) {',
        put: "if (open?.progress.at === 'Gathering' && open.generation === generation) {",
      },
    ],
    scenarios: ['nodes', 'chaos'],
    expect: ['recoverers'],
  },
  {
    name: 'stale-checkpoint',
    about:
      'A checkpoint of an older generation is registered when it comes late: the next generation ' +
      'may resume from a directory that an older one still writes.',
    patches: [
      {
        module: DECIDE,
        find: `nobody's latest.
    if (isOld(gang, command.generation))
        return nothing();`,
        put: "nobody's latest.",
      },
    ],
    scenarios: ['chaos', 'nodes'],
    expect: ['generations'],
  },
]
