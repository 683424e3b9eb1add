/** Defects of the mediator: submissions, cancellations. */
import type { Defect } from './types.ts'

const dist = (name: string): string => `services/mediator/dist/${name}.js`

export const mediatorDefects: readonly Defect[] = [
  {
    name: 'check-then-act',
    about:
      'Whether a request is a repeated one is looked up first, and the request is carried out ' +
      'without its id: of two copies that arrive at once both are carried out.',
    patches: [
      {
        module: dist('app/submit'),
        find: "...(requestId === '' ? {} : { requestId, bodyHash: bodyHash(tenant, request) }),",
        put: '',
      },
      {
        module: dist('app/submit'),
        find: 'const { requestId } = request;',
        put: `const { requestId } = request;
        if (repeated) {
            const { value } = await runtime.read((state) => state.requests.get(requestId));
            return this.#settled(value, context);
        }`,
      },
    ],
    scenarios: ['nodes', 'chaos'],
    expect: ['acknowledged'],
  },
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
