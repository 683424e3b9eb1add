/** Logs written by hand, with the real encoders: what lands is told to the checkers at once. */
import { hash } from 'node:crypto';
import { Commit_Kind, encodeClaim, encodeCommit, eventsTopic, logTopic, } from '@serverless-ai/eventlog';
import { createCheckers } from '../index.js';
const KINDS = { normal: Commit_Kind.NORMAL, tick: Commit_Kind.TICK, yield: Commit_Kind.YIELD };
/** Log time of the start, ms since 1970. */
const START_MS = 1_700_000_000_000;
const sha256 = (...pieces) => hash('sha256', Buffer.concat(pieces), 'buffer');
/** Checkers and the logs they look at. */
export class Logs {
    alarms = [];
    nowMs = 0;
    #checkers = createCheckers((alarm) => this.alarms.push(alarm), { appendMs: 100 });
    #logs = new Map();
    #claims = 0;
    /** Names of the checkers that have raised an alarm, each once. */
    get caught() {
        return [...new Set(this.alarms.map(({ checker }) => checker))];
    }
    observe(observation) {
        this.#checkers.observe(observation);
    }
    log(service) {
        let log = this.#logs.get(service);
        if (log === undefined) {
            const none = { epoch: 0, sequence: 0, end: 0, topicEnd: 0, publicSeq: 0 };
            log = { ...none, chain: Buffer.alloc(32), last: Buffer.alloc(0), unpublished: [] };
            this.#logs.set(service, log);
        }
        return log;
    }
    /** Bytes as the next record of a service's log. */
    land(service, value) {
        const log = this.log(service);
        const position = log.end;
        log.end += 1;
        this.nowMs += 1;
        const record = { topic: logTopic(service), partition: 0, position, key: '', headers: {}, value };
        this.observe({ kind: 'landed', record: { ...record, atMs: this.nowMs } });
        return position;
    }
    /** An effective claim of the next epoch (or of `epoch`). */
    claim(service, more = {}) {
        const log = this.log(service);
        this.#claims += 1;
        const epoch = more.epoch ?? log.epoch + 1;
        const value = encodeClaim({
            epoch: BigInt(epoch),
            claimId: Buffer.from(more.claimId ?? `claim ${this.#claims}`.padEnd(16)),
            replica: `${service}-1`,
            address: `${service}-1:7070`,
            atMs: BigInt(START_MS),
        });
        log.epoch = epoch;
        log.sequence = 0;
        log.chain = sha256(log.chain, value);
        return this.land(service, value);
    }
    /** The next effective commit of a service; claims the first epoch by itself. */
    commit(service, draft) {
        const log = this.log(service);
        if (log.epoch === 0)
            this.claim(service);
        const value = this.#encode(service, draft);
        log.last = value;
        log.sequence += 1;
        log.chain = sha256(log.chain, value);
        return this.land(service, value);
    }
    #encode(service, draft) {
        const log = this.log(service);
        const atMs = START_MS + (draft.atMs ?? this.nowMs);
        const publics = (draft.publics ?? []).map((event) => {
            log.publicSeq += 1;
            log.unpublished.push({ ...event, seq: log.publicSeq, atMs });
            const payload = Buffer.from(event.payload);
            return { ...event, payload, seq: BigInt(log.publicSeq), tenant: 'lab' };
        });
        const facts = (all = []) => all.map(({ type, ...data }) => ({ type, version: 1, data: JSON.stringify(data) }));
        const commit = {
            commitId: Buffer.from(`commit ${log.end}`.padEnd(16)),
            epoch: BigInt(log.epoch),
            sequence: BigInt(log.sequence),
            prev: Buffer.from(log.chain),
            kind: KINDS[draft.kind ?? 'normal'],
            atMs: BigInt(atMs),
            inputs: Object.entries(draft.marks ?? {}).map(([source, seq]) => {
                return { source, partition: 0, seq: BigInt(seq), offset: BigInt(seq) };
            }),
            answers: (draft.answers ?? []).map(({ requestId, outcome }) => {
                return { requestId, bodyHash: Buffer.alloc(32), outcome: JSON.stringify(outcome) };
            }),
            events: facts(draft.events),
            publics,
            runtime: facts(draft.runtime),
        };
        return encodeCommit(draft.change?.(commit) ?? commit);
    }
    /** Publishes what is waiting. */
    publish(service) {
        for (const event of this.log(service).unpublished.splice(0))
            this.publishOne(service, event);
    }
    publishOne(service, event) {
        const log = this.log(service);
        const headers = {
            ce_id: `${service}/0/${event.seq}`,
            ce_type: event.type,
            ce_tenant: 'lab',
            ce_time: new Date(event.atMs).toISOString(),
        };
        const position = log.topicEnd;
        log.topicEnd += 1;
        this.nowMs += 1;
        const { key, payload: value } = event;
        const record = { topic: eventsTopic(service), partition: 0, position, key, headers, value };
        this.observe({ kind: 'landed', record: { ...record, atMs: this.nowMs } });
    }
}
//# sourceMappingURL=logs.js.map