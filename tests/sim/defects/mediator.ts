/** Defects of the mediator: cancellations. */
import type { Defect } from './types.ts'

const dist = (name: string): string => `services/mediator/dist/${name}.js`

export const mediatorDefects: readonly Defect[] = [
  {
    name: 'cancel-lost',
    about:
      'A cancellation that the scheduler did not answer counts as done: it was accepted, and the ' +
      'job runs on.',
    patches: [
      {
        module: dist('app/definition'),
        find: 'rejectionOf(error);',
        put: 'void error;',
      },
    ],
    scenarios: ['chaos', 'leaders'],
    expect: ['effects', 'acknowledged', 'ends', 'settles'],
  },
]
