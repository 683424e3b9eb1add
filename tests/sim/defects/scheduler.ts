/** Defects of the scheduler: gangs, devices, quota. */
import type { Defect } from './types.ts'

const core = (name: string): string => `services/scheduler/dist/core/${name}.js`

export const schedulerDefects: readonly Defect[] = [
  {
    name: 'partial-gang',
    about: 'A gang that does not fit as a whole is placed with the ranks that do.',
    source: {
      link: 'https://github.com/armadaproject/armada/pull/4232',
      what: 'part of a gang was scheduled when others of it were preempted in the same round',
    },
    patches: [
      {
        module: core('placement'),
        find: 'undo(fleet, each, chunks);',
        put: `if (chunks.length > 0) break;
            undo(fleet, each, chunks);`,
      },
    ],
    scenarios: ['nodes', 'chaos'],
    expect: ['gangs', 'inputs'],
  },
  {
    name: 'release-at-decision',
    about:
      'Devices are free when a gang is released, not when its processes are gone: the next gang ' +
      'is placed on devices that a task still uses.',
    source: {
      link: 'https://github.com/kai-scheduler/KAI-Scheduler/pull/313',
      what: 'resources that were being released counted as idle for some requests',
    },
    patches: [
      {
        module: core('evolve'),
        find: 'const key = holdingKey(event.jobId, event.gang, event.throughGeneration);',
        put: `const key = holdingKey(event.jobId, event.gang, event.throughGeneration);
    const given = state.holdings.get(key);
    if (given !== undefined) {
        const ranks = [...given.freed.keys()].filter((rank) => given.freed[rank] === 0);
        free(state, { ...event, generation: event.throughGeneration, ranks });
    }`,
      },
    ],
    scenarios: ['nodes', 'chaos'],
    expect: ['devices', 'processes'],
    quick: true,
  },
  {
    name: 'quota-forgets-round',
    about:
      "A queue's use is looked up as it was before the round: two gangs placed in one round may " +
      'exceed the maximum together.',
    source: {
      link: 'https://github.com/vllm-project/aibrix/issues/2670',
      what: 'replicas that were asked for and pending were not counted, so that more were made',
    },
    patches: [
      {
        module: core('round'),
        find: 'const room = tasksInQuota(entry.queue.spec, gang.perTask, entry.used);',
        put: 'const room = tasksInQuota(entry.queue.spec, gang.perTask, entry.queue.used);',
      },
    ],
    scenarios: ['nodes', 'chaos'],
    expect: ['quota'],
  },
  {
    name: 'exclusive-wait-missing',
    about:
      'The next generation of an exclusive gang starts without waiting for the ranks of the ' +
      'older one to be gone: a task with outside effects runs twice at once.',
    source: {
      link: 'https://github.com/karmada-io/karmada/pull/5251',
      what: 'a cluster that is cut off cannot be told to stop, its jobs ran twice after a failover',
    },
    patches: [
      {
        module: core('reason'),
        find: 'return dependsOnOlder(job) && olderRanks(state, job).still > 0;',
        put: 'return false;',
      },
    ],
    scenarios: ['nodes', 'chaos'],
    expect: ['exclusive', 'gangs'],
    quick: true,
  },
]
