/** Defects of the pool manager: leases, returning nodes, reports. */
import type { Defect } from './types.ts'

const dist = (name: string): string => `services/pool-manager/dist/${name}.js`

export const poolManagerDefects: readonly Defect[] = [
  {
    name: 'lease-tick-lost',
    about:
      'Heartbeats are answered without a commit that is read back: a leader that was replaced ' +
      'and does not know it keeps the leases of its nodes alive, while the new one believes ' +
      'them lost.',
    source: {
      link: 'https://github.com/memgraph/memgraph/issues/2374',
      what: 'a leader that was cut off went on acting on its nodes after another was elected',
    },
    patches: [
      {
        module: dist('app/heartbeats'),
        find: 'await this.#confirm();',
        put: 'await Promise.resolve();',
      },
    ],
    scenarios: ['chaos'],
    expect: ['leases', 'exclusive', 'processes'],
  },
  {
    name: 'node-back-frees-early',
    about:
      'A node that was believed lost and comes back counts as empty at once, before it has said ' +
      'what still runs on it.',
    source: {
      link: 'https://github.com/NVIDIA/k8s-device-plugin/issues/290',
      what: 'when devices count as free is not tied to the end of the processes that use them',
    },
    patches: [
      {
        module: dist('core/decide-nodes'),
        find: "return accept([{ type: 'NodeRegistered', ...node, change }], {",
        put: `const back = state.nodes.get(nodeId)?.state.at === 'Lost'
        ? [...executionsOn(state, nodeId)].filter(hasEnded).sort(compareKeys) : [];
    return accept([{ type: 'NodeRegistered', ...node, change }, ...freedEvents(back)], {`,
      },
    ],
    scenarios: ['nodes', 'chaos'],
    expect: ['processes', 'devices'],
    quick: true,
  },
  {
    name: 'released-is-current',
    about:
      'A generation counts as the current one until a newer one is granted, although it was ' +
      'released: what its tasks still report is told as if it mattered.',
    source: {
      link: 'https://github.com/armadaproject/armada/pull/4970',
      what: 'the result of work that had begun earlier overwrote a newer state of the job',
    },
    patches: [
      {
        module: dist('core/state'),
        find: 'key.generation > gang.releasedThrough',
        put: 'key.generation > 0',
      },
    ],
    scenarios: ['nodes', 'chaos'],
    expect: ['generations'],
    quick: true,
  },
]
