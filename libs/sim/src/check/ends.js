/**
 * Every job that was taken ends, once, the same for its owner as for the scheduler; afterwards
 * nothing of it runs.
 */
import { isEnd, placeText, SERVICES, secondsText, taskText } from './names.js';
class Ends {
    #alarm;
    #ledger;
    /** What the mediator shows of each job it took; empty = nothing final. */
    #shown = new Map();
    constructor({ alarm, ledger }) {
        this.#alarm = alarm;
        this.#ledger = ledger;
    }
    committed({ service, commit }) {
        if (service !== SERVICES.mediator)
            return;
        for (const { type, json } of commit.events) {
            if (type === 'JobSubmitted')
                this.#shown.set(json.text('jobId'), '');
            else if (type === 'JobRejected')
                this.#shown.set(json.text('jobId'), 'Rejected');
            else if (type === 'JobStateObserved') {
                const view = json.inner('view');
                if (isEnd(view.text('state')))
                    this.#shown.set(view.text('jobId'), view.text('state'));
            }
        }
    }
    state(jobId, state, at) {
        const job = this.#ledger.jobs.get(jobId);
        if (job === undefined || !isEnd(job.state) || job.state === state)
            return;
        const was = `${job.state} since ${placeText(job.changed)}`;
        this.#alarm(jobId, `${jobId} becomes ${state} in ${placeText(at)}, and it is ${was}: an end stays`);
    }
    settled(atMs) {
        const at = `at ${secondsText(atMs)}, long after the last fault,`;
        for (const job of this.#ledger.jobs.values()) {
            const { jobId, state, changed, reason, message } = job;
            const shown = this.#shown.get(jobId);
            if (!isEnd(state)) {
                const why = `reason ${reason}${message === '' ? '' : `: ${message}`}`;
                const text = `${at} ${jobId} is ${state || 'without a state'} since ${placeText(changed)}`;
                this.#alarm(jobId, `${text} (${why}): every job ends`);
            }
            else if (shown !== undefined && shown !== state) {
                const owner = shown === '' ? 'sees no end' : `sees ${shown}`;
                this.#alarm(jobId, `${at} ${jobId} is ${state} (${placeText(changed)}), its owner ${owner}`);
            }
        }
        for (const [jobId, shown] of this.#shown) {
            if (shown === 'Rejected' || this.#ledger.jobs.has(jobId))
                continue;
            this.#alarm(jobId, `${at} ${jobId} was taken, and the scheduler never heard of it`);
        }
        for (const { key, node, sinceMs } of this.#ledger.running.values()) {
            const state = this.#ledger.jobs.get(key.jobId)?.state ?? 'unknown';
            const text = `${taskText(key)} still runs on ${node} since ${secondsText(sinceMs)}`;
            this.#alarm(key.jobId, `${at} ${text}, and its job is ${state}`);
        }
    }
}
/** Looks at the ends. */
export const ends = (init) => {
    const watch = new Ends(init);
    return {
        committed: (seen) => watch.committed(seen),
        event(event) {
            const { body } = event;
            if (body.is === 'JobStateChanged')
                watch.state(body.value.jobId, body.value.state, event);
        },
        observe(observation) {
            if (observation.kind === 'settled')
                watch.settled(observation.atMs);
        },
    };
};
//# sourceMappingURL=ends.js.map