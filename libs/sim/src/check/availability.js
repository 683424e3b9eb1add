/**
 * After a leader dies or hangs there is a new one within 6 s + 8 × the time of an append, unless
 * another fault follows.
 */
import { secondsText } from './names.js';
const BASE_MS = 6_000;
const APPENDS = 8;
/** Faults after which another replica has to lead. */
const DEATHS = new Set(['kill', 'power-off', 'restart']);
const HANGS = new Set(['pause', 'log-partition']);
/** Faults that touch nodes only: no replica notices. */
const OF_NODES = new Set([
    'agent-kill',
    'agent-hang',
    'agent-flap',
    'supervisor-kill',
    'node-power',
    'node-partition',
]);
class Availability {
    #alarm;
    #waitMs;
    #services = new Map();
    /** Service of a process that was ever heard of. */
    #serviceOf = new Map();
    #awaited = new Map();
    /** Faults that are on: name → services they touch; undefined = any. */
    #active = new Map();
    /** When to look next, ms. */
    #nextMs = Number.POSITIVE_INFINITY;
    constructor(alarm, appendMs) {
        this.#alarm = alarm;
        this.#waitMs = BASE_MS + APPENDS * appendMs;
    }
    leading(service) {
        const leading = this.#services.get(service) ?? { epoch: 0, process: '' };
        this.#services.set(service, leading);
        return leading;
    }
    heard(process, service) {
        this.#serviceOf.set(process, service);
    }
    claimed(service, epoch) {
        this.#services.set(service, { epoch, process: '' });
        const awaited = this.#awaited.get(service);
        if (awaited !== undefined && epoch > awaited.epoch)
            awaited.claimed = true;
    }
    committed(service) {
        // Effective commits are of the newest epoch.
        if (this.#awaited.get(service)?.claimed === true)
            this.#awaited.delete(service);
    }
    fault(init) {
        const { fault, target, begins, atMs } = init;
        if (OF_NODES.has(fault))
            return;
        const name = `${fault} ${target}`;
        const touched = this.#touched(target);
        if (!begins) {
            this.#active.delete(name);
            // What hung goes on: nobody has to take over any more.
            if (HANGS.has(fault))
                this.#drop(touched);
            return;
        }
        this.#drop(touched);
        this.#active.set(name, touched);
        if (DEATHS.has(fault) || HANGS.has(fault))
            this.#expect(fault, target, atMs);
    }
    #drop(touched) {
        for (const service of [...this.#awaited.keys()]) {
            if (touched?.has(service) !== false)
                this.#awaited.delete(service);
        }
    }
    /** Services that a fault of this target touches; undefined = any. */
    #touched(target) {
        const services = new Set();
        for (const process of target.split('/')) {
            if (process === 'log')
                continue;
            const service = this.#serviceOf.get(process);
            if (service === undefined)
                return undefined;
            services.add(service);
        }
        return services;
    }
    #expect(fault, process, atMs) {
        const service = this.#serviceOf.get(process);
        if (service === undefined)
            return;
        const leading = this.leading(service);
        if (leading.process !== process)
            return;
        const own = `${fault} ${process}`;
        for (const [name, touched] of this.#active) {
            if (name !== own && touched?.has(service) !== false)
                return;
        }
        const untilMs = atMs + this.#waitMs;
        const { epoch } = leading;
        const awaited = { service, fault, process, sinceMs: atMs, untilMs, epoch, claimed: false };
        this.#awaited.set(service, awaited);
        this.#nextMs = Math.min(this.#nextMs, untilMs);
    }
    look(nowMs) {
        if (nowMs <= this.#nextMs)
            return;
        this.#nextMs = Number.POSITIVE_INFINITY;
        for (const awaited of [...this.#awaited.values()]) {
            if (nowMs <= awaited.untilMs) {
                this.#nextMs = Math.min(this.#nextMs, awaited.untilMs);
                continue;
            }
            this.#awaited.delete(awaited.service);
            this.#alarm(awaited.service, lateText(awaited, nowMs));
        }
    }
}
function lateText(awaited, nowMs) {
    const { service, fault, process, sinceMs, untilMs, epoch, claimed } = awaited;
    const missing = claimed
        ? `epoch ${epoch + 1} is claimed, nothing was committed in it`
        : `nobody claimed epoch ${epoch + 1}`;
    return (`${service}: ${process} led epoch ${epoch} until '${fault}' at ${secondsText(sinceMs)}; ` +
        `a new leader commits by ${secondsText(untilMs)} when no other fault follows, ` +
        `and by ${secondsText(nowMs)} ${missing}`);
}
/** Sees that somebody takes over in time. */
export const availability = ({ alarm, options }) => {
    const watch = new Availability(alarm, options.appendMs);
    return {
        claimed({ service, claim, landedMs }) {
            watch.look(landedMs);
            watch.claimed(service, claim.epoch);
        },
        committed({ service, landedMs }) {
            watch.look(landedMs);
            watch.committed(service);
        },
        observe(observation) {
            watch.look(observation.atMs);
            if (observation.kind === 'digest')
                watch.heard(observation.process, observation.service);
            if (observation.kind === 'leading') {
                const { process, service, epoch, leads } = observation;
                watch.heard(process, service);
                const leading = watch.leading(service);
                if (leads && epoch === leading.epoch)
                    leading.process = process;
                if (!leads && leading.process === process)
                    leading.process = '';
            }
            if (observation.kind === 'fault')
                watch.fault(observation);
        },
    };
};
//# sourceMappingURL=availability.js.map