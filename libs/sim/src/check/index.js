/**
 * Independent checkers: they know nothing of the product's own state and share none of its rules.
 * Landed records go through an arbitration of their own; what is effective, and what is seen from
 * outside, goes to every checker.
 */
import { acknowledged } from './acknowledged.js';
import { availability } from './availability.js';
import { devices } from './devices.js';
import { digests } from './digests.js';
import { EffectiveLogs } from './effective-log.js';
import { effects } from './effects.js';
import { ends } from './ends.js';
import { decodeBody } from './events.js';
import { exclusive } from './exclusive.js';
import { gangs } from './gangs.js';
import { generations } from './generations.js';
import { inputs } from './inputs.js';
import { leaders } from './leaders.js';
import { Ledger } from './ledger.js';
import { placeText } from './names.js';
import { processes } from './processes.js';
import { quota } from './quota.js';
import { reads } from './reads.js';
import { recoverers } from './recoverers.js';
import { Topics } from './topic.js';
/** The checkers behind the arbitration, in the order in which they are told. */
const FACTORIES = {
    leaders,
    availability,
    acknowledged,
    reads,
    devices,
    processes,
    gangs,
    quota,
    generations,
    exclusive,
    ends,
    digests,
    recoverers,
    effects,
    inputs,
};
/** Names of all checkers, as alarms carry them. */
export const CHECKER_NAMES = ['log', 'topic', ...Object.keys(FACTORIES)];
class Hub {
    names = CHECKER_NAMES;
    #alarm;
    #ledger = new Ledger();
    #logs;
    #topics;
    #watchers;
    #tellLog;
    #nowMs = 0;
    constructor(alarm, options) {
        this.#alarm = alarm;
        const ledger = this.#ledger;
        this.#tellLog = this.#teller('log');
        this.#watchers = Object.entries(FACTORIES).map(([name, make]) => make({ alarm: this.#teller(name), ledger, options }));
        this.#topics = new Topics(this.#teller('topic'));
        this.#logs = new EffectiveLogs(this.#tellLog, {
            claimed: (claim) => this.#claimed(claim),
            committed: (commit) => this.#committed(commit),
        });
    }
    #teller(checker) {
        return (about, message) => this.#alarm({ checker, atMs: this.#nowMs, about, message });
    }
    observe(observation) {
        if (observation.kind === 'landed') {
            const { record } = observation;
            this.#nowMs = record.atMs;
            if (!this.#logs.landed(record))
                this.#topics.landed(record);
            return;
        }
        this.#nowMs = observation.atMs;
        for (const watcher of this.#watchers)
            watcher.observe?.(observation);
        this.#topics.observe(observation);
        this.#ledger.applyObservation(observation);
    }
    #claimed(claim) {
        for (const watcher of this.#watchers)
            watcher.claimed?.(claim);
    }
    #committed(commit) {
        this.#topics.committed(commit);
        for (const watcher of this.#watchers)
            watcher.committed?.(commit);
        this.#ledger.applyCommit(commit);
        const { service, position, landedMs } = commit;
        for (const { seq, type, payload } of commit.commit.publics) {
            let event;
            try {
                event = { service, position, landedMs, seq, commit, body: decodeBody(type, payload) };
            }
            catch (error) {
                const why = error instanceof Error ? error.message : String(error);
                this.#tellLog(service, `${placeText(commit)}: ${type} ${seq} cannot be decoded: ${why}`);
                continue;
            }
            for (const watcher of this.#watchers)
                watcher.event?.(event);
            this.#ledger.applyEvent(event);
        }
    }
}
/** Makes all checkers; `alarm` is called for each breach, at the moment it is seen. */
export function createCheckers(alarm, options = {}) {
    return new Hub(alarm, { appendMs: 50, ...options });
}
//# sourceMappingURL=index.js.map