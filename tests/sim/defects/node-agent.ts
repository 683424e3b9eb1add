/** Defects of a node: its lease, its executions. */
import type { Defect } from './types.ts'

const dist = (name: string): string => `services/node-agent/dist/${name}.js`

export const nodeAgentDefects: readonly Defect[] = [
  {
    name: 'exclusive-not-killed',
    about:
      'Nobody looks at the clock when the agent says nothing: an exclusive task outlives the ' +
      'lease of a node that is cut off, and runs on while its next generation starts elsewhere.',
    source: {
      link: 'https://github.com/karmada-io/karmada/pull/5251',
      what: 'users had to add a side-car that ends a job in a cluster that was cut off',
    },
    patches: [
      {
        module: dist('core/node'),
        find: 'return state.lease.deadlineBootMs;',
        put: 'return undefined;',
      },
    ],
    scenarios: ['nodes', 'chaos'],
    expect: ['exclusive'],
    quick: true,
  },
  {
    name: 'restarts-what-is-wanted',
    about:
      'An execution that has ended and is still in the desired set is started again, as if the ' +
      'set were a wish and not a record: it runs twice under one generation.',
    source: {
      link: 'https://github.com/galaxyproject/pulsar/pull/448',
      what: 'a job whose set-up was delivered again after a kill was started a second time',
    },
    patches: [
      {
        module: dist('core/node'),
        find: 'if (held !== undefined || forgotten.has(text))',
        put: "if ((held !== undefined && held.phase.at !== 'exited') || forgotten.has(text))",
      },
      {
        module: dist('app/supervisor/task'),
        find: 'if (store.wasStarted(key)) {',
        put: 'if (false) {',
      },
    ],
    scenarios: ['nodes', 'chaos'],
    expect: ['processes', 'exclusive'],
    quick: true,
  },
]
