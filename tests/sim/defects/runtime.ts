/** Defects of the partition loop: answers, sequences, marks, effects, snapshots. */
import type { Defect } from './types.ts'

const module = (name: string): string => `libs/runtime/dist/${name}.js`

/** Leading: what is acknowledged, and when. */
const leading: readonly Defect[] = [
  {
    name: 'answer-before-read-back',
    about:
      'Answers leave when the commit was sent to the log, whatever became of the send: it is ' +
      'sent again until it lands, but a leader that dies or is replaced before that has ' +
      'acknowledged what nobody will ever read.',
    source: {
      link: 'https://github.com/platformatic/kafka/issues/326',
      what: 'of concurrent idempotent sends all were acknowledged and one was in the log',
    },
    patches: [
      {
        module: module('leader'),
        find: 'await eventLog.append(this.#host.address, entries);',
        put: `const answer = (position) => {
                const { publics } = flight.own.facts;
                const publicSeq = publics.at(-1)?.seq ?? flight.draft.framework.publicSeq;
                const { releases } = flight.draft;
                for (const release of releases.splice(0)) release({ position, publicSeq });
              };
              const sent = eventLog.append(this.#host.address, entries);
              const landed = await sent.catch((error) => {
                const at = this.#host.state()?.position ?? 0;
                if (!(error instanceof AppendRefusedError)) answer(at);
                throw error;
              });
              answer(landed.position);`,
      },
    ],
    scenarios: ['leaders', 'chaos'],
    expect: ['acknowledged', 'effects', 'ends', 'settles', 'inputs'],
  },
  {
    name: 'sequence-reuse',
    about:
      'After an append of unknown outcome the batch is put together anew, with what has come ' +
      'since, under the same sequence; the copy that lands first is taken for the newest one.',
    source: {
      link: 'https://github.com/tulios/kafkajs/issues/598',
      what: 'a send began before the last one was answered, its sequence did not follow',
    },
    patches: [
      {
        module: module('leader'),
        find: 'this.#notAppended(flight, error);',
        put: `this.#notAppended(flight, error);
              if (!(error instanceof AppendRefusedError)) {
                this.#inFlight = undefined;
                this.mailbox.unshift(flight.draft.taken);
                this.#host.refold();
                return;
              }`,
      },
      {
        module: module('partition'),
        find: 'const mine = own !== undefined && Buffer.compare(record.value, own.bytes) === 0;',
        put: `const told = own && arbitrateBytes(this.arbitration, record.value).record?.body;
        const sent = own?.record.body?.value;
        const mine = told?.$case === 'commit' && sent !== undefined
            && told.value.epoch === sent.epoch && told.value.sequence === sent.sequence;`,
      },
    ],
    scenarios: ['leaders', 'chaos'],
    expect: ['digests', 'acknowledged', 'log', 'inputs', 'ends', 'stops', 'settles'],
    quick: true,
  },
  {
    name: 'void-treated-as-fenced',
    about:
      'A leader that reads a void record, for example a late copy of its own commit, believes ' +
      'that somebody else leads: it drops its state and leads no more, though nobody else does.',
    patches: [
      {
        module: module('lifecycle'),
        find: "if (applied.kind === 'skipped') {",
        put: `if (applied.kind === 'skipped') {
            if (this.role === 'Leading') return this.#fenced();`,
      },
    ],
    scenarios: ['leaders', 'chaos'],
    expect: ['leaders', 'availability', 'settles'],
  },
  {
    name: 'fenced-keeps-state',
    about:
      'A leader that reads the claim of another one goes on as a follower with the state it has, ' +
      'in which the events of its commit in flight are evolved: that commit is void by then.',
    source: {
      link: 'https://github.com/armadaproject/armada/pull/4584',
      what: 'a rolled back transaction left its changes in a map, jobs were scheduled twice',
    },
    patches: [
      {
        module: module('tail'),
        find: 'if (again)',
        put: "if (again && applied.kind === 'voided')",
      },
    ],
    scenarios: ['leaders', 'chaos'],
    expect: ['digests', 'ends', 'stops', 'settles', 'acknowledged', 'log', 'inputs'],
  },
  {
    name: 'dedupe-in-memory',
    about:
      'A leader knows repeated requests only by what was answered since it leads: after a change ' +
      'of the leader a repeated request is carried out a second time.',
    source: {
      link: 'https://github.com/armadaproject/armada/pull/4996',
      what: 'uniqueness was kept per partition of a view only, so that rows came out twice',
    },
    patches: [
      {
        module: module('composer'),
        find: 'const kept = state.framework.answers.get(item.requestId);',
        put: `this.since ??= state.effectivePosition;
        const entry = state.framework.answers.get(item.requestId);
        const kept = entry !== undefined && entry.position > this.since ? entry : undefined;`,
      },
    ],
    scenarios: ['chaos', 'leaders'],
    expect: ['acknowledged'],
  },
]

/** What has to survive the leader. */
const takingOver: readonly Defect[] = [
  {
    name: 'mark-before-commit',
    about:
      'The mark of an input is how far the reader is, not how far its decisions are committed; ' +
      'with few inputs per commit a leader that dies takes the rest of them with it.',
    source: {
      link: 'https://github.com/armadaproject/armada/pull/4918',
      what: 'cursors advanced before the publish that they stood for: events lost, jobs stuck',
    },
    patches: [
      {
        module: module('inputs'),
        find: 'return this.#outstanding === 0 && this.#cursor.seq > foldedSeq',
        put: 'return this.#cursor.seq > foldedSeq',
      },
      {
        module: module('composer'),
        find: 'batch.draft.mark(item.mark);\n        batch.draft.releases.push(item.onCommitted);',
        put: 'batch.draft.releases.push(item.onCommitted);',
      },
      {
        module: module('composer'),
        find: '#input(batch, item) {',
        put: `#input(batch, item) {
        if (batch.draft.taken.filter(({ kind }) => kind === 'input').length > 1) return 'later';`,
      },
    ],
    scenarios: ['chaos', 'leaders'],
    expect: ['inputs', 'ends', 'settles', 'generations', 'effects'],
  },
  {
    name: 'gap-accepted',
    about:
      'A consumer that was away for longer than the events of its source are kept goes on with ' +
      'the first one that is left, as if nothing had been before it.',
    source: {
      link: 'https://github.com/ClickHouse/clickhouse-kafka-connect/issues/511',
      what: 'a connector whose offset was no longer kept went on elsewhere and said nothing',
    },
    patches: [
      {
        module: module('inputs'),
        find: `fields);
            return false;`,
        put: `fields);
            const { start } = await context.environment.eventLog.range(address);
            this.#next = start;
            return true;`,
      },
      {
        module: module('inputs'),
        find: 'if (event.seq !== this.#cursor.seq + 1) {',
        put: 'if (false) {',
      },
    ],
    scenarios: ['away'],
    expect: ['settles', 'ends', 'effects', 'inputs'],
  },
  {
    name: 'effect-not-reissued',
    about:
      'A new leader performs the effects of its own commits only: a call to another service that ' +
      'the last leader had not finished is never made again.',
    source: {
      link: 'https://github.com/galaxyproject/pulsar/pull/448',
      what: 'a final status whose publish had failed was sent by nobody after a restart',
    },
    patches: [
      {
        module: module('effects'),
        find: 'const open = this.#session.state()?.framework.effects.values() ?? [];',
        put: 'const open = [];',
      },
    ],
    scenarios: ['leaders', 'chaos'],
    expect: ['effects', 'ends', 'settles'],
  },
  {
    name: 'stale-snapshot',
    about:
      'The position of a snapshot is noted when its content has been put together, some commits ' +
      'later: who loads it misses what happened in between.',
    source: {
      link: 'https://github.com/etcd-io/etcd/issues/20426',
      what: 'after a kill the index of the state and that of the snapshot did not fit together',
    },
    patches: [
      {
        module: module('snapshots'),
        find: 'const content = state.toSnapshot();',
        put: `const early = state.toSnapshot();
        this.#commits = 0;
        await this.#context.ports.timers.sleep(200);
        const { position: at, effectivePosition, arbitration } = state.toSnapshot();
        const content = { ...early, position: at, effectivePosition, arbitration };`,
      },
    ],
    scenarios: ['storage', 'chaos'],
    expect: ['digests', 'log', 'acknowledged', 'ends', 'stops', 'settles'],
  },
  {
    name: 'min-position-ignored',
    about:
      'A replica answers a read with a position at once from what it has folded: whoever reads ' +
      'at another replica than it wrote does not find its own job.',
    source: {
      link: 'https://github.com/etcd-io/etcd/issues/13464',
      what: 'a linearizable read at a member that lagged returned an old value, not an error',
    },
    patches: [
      {
        module: module('reads'),
        find: 'return state.effectivePosition >= wanted.position ? state : undefined;',
        put: 'return state;',
      },
    ],
    scenarios: ['chaos', 'leaders'],
    expect: ['reads'],
  },
]

export const runtimeDefects: readonly Defect[] = [...leading, ...takingOver]
