/**
 * What a user was told holds: an accepted request stands in the effective log before its answer,
 * once, and stays; a refused one leaves nothing behind; the same request gets the same answer.
 */
import { placeText, SERVICES, secondsText } from './names.js';
/** Refusals that only say that the first answer is no longer known. */
const FORGOTTEN = new Set(['REQUEST_TOO_OLD', 'JOB_NOT_FOUND']);
class Acknowledged {
    #alarm;
    /** `<service>/<request id>` → answer in the log. */
    #logged = new Map();
    /** First answer that a user got to a request. */
    #told = new Map();
    #jobs = new Map();
    #jobOfRequest = new Map();
    #queued = new Map();
    #queues = new Map();
    #ended = new Set();
    constructor(alarm) {
        this.#alarm = alarm;
    }
    committed(seen) {
        const { service, commit } = seen;
        if (service === SERVICES.mediator || service === SERVICES.scheduler) {
            for (const { requestId, outcome } of commit.answers) {
                if (requestId !== '')
                    this.#answer(seen, requestId, outcome.json.flag('ok'), outcome);
            }
        }
        if (service === SERVICES.mediator)
            this.#mediator(seen);
        if (service === SERVICES.scheduler)
            this.#scheduler(seen);
    }
    #answer(seen, requestId, ok, outcome) {
        const key = `${seen.service}/${requestId}`;
        const reason = ok ? '' : outcome.json.inner('refusal').text('reason');
        const first = this.#logged.get(key);
        if (first === undefined) {
            this.#logged.set(key, { ok, reason, at: seen });
            return;
        }
        const text = `request ${requestId} is answered in ${placeText(first.at)} and again`;
        this.#alarm(requestId, `${text} in ${placeText(seen)}: it is carried out once`);
    }
    #mediator(seen) {
        for (const { type, json } of seen.commit.events) {
            const jobId = json.text('jobId');
            const job = this.#jobs.get(jobId);
            if (type === 'JobSubmitted')
                this.#submitted(jobId, json.text('requestId'), seen);
            if (job === undefined)
                continue;
            if (type === 'JobRejected')
                job.rejected = seen;
            if (type === 'JobEnqueued')
                this.#enqueued(jobId, job, seen);
            if (type === 'JobCancelRequested') {
                const first = job.cancelRequested;
                job.cancelRequested ??= seen;
                if (first !== undefined)
                    this.#twice(`cancel of ${jobId}`, jobId, first, seen);
            }
        }
    }
    #twice(what, about, first, again) {
        const text = `${what} is recorded in ${placeText(first)} and again in ${placeText(again)}`;
        this.#alarm(about, `${text}: it happens once`);
    }
    #submitted(jobId, requestId, seen) {
        const job = {
            ...{ requestId, submitted: seen },
            ...{ enqueued: undefined, rejected: undefined, cancelRequested: undefined },
        };
        const same = this.#jobs.get(jobId);
        if (same !== undefined)
            this.#twice(`submission of ${jobId}`, jobId, same.submitted, seen);
        this.#jobs.set(jobId, job);
        if (requestId === '')
            return;
        const otherId = this.#jobOfRequest.get(requestId);
        const other = otherId === undefined ? undefined : this.#jobs.get(otherId);
        if (other !== undefined && otherId !== jobId) {
            const text = `request ${requestId} made job ${otherId} in ${placeText(other.submitted)}`;
            this.#alarm(jobId, `${text} and job ${jobId} in ${placeText(seen)}: it makes one`);
        }
        this.#jobOfRequest.set(requestId, jobId);
    }
    #enqueued(jobId, job, seen) {
        if (job.enqueued !== undefined)
            this.#twice(`queueing of ${jobId}`, jobId, job.enqueued, seen);
        job.enqueued = seen;
        if (!this.#queued.has(jobId)) {
            const text = `mediator says that ${jobId} is queued in ${placeText(seen)}`;
            this.#alarm(jobId, `${text}, and the scheduler's log does not hold it`);
        }
        const told = this.#told.get(job.requestId);
        if (told?.ok === false && told.call === 'submit')
            this.#leftBehind(told, jobId, seen);
    }
    #leftBehind(told, jobId, place) {
        const refused = `request ${told.requestId} was refused ${told.reason} at`;
        const text = `${refused} ${secondsText(told.atMs)}, and its job ${jobId} is queued`;
        this.#alarm(jobId, `${text} in ${placeText(place)}: a refusal leaves nothing behind`);
    }
    #scheduler(seen) {
        for (const event of seen.commit.events) {
            if (event.type === 'JobQueued') {
                const jobId = event.json.inner('job').text('jobId');
                const first = this.#queued.get(jobId);
                if (first !== undefined)
                    this.#twice(`job ${jobId}`, jobId, first, seen);
                else
                    this.#queued.set(jobId, seen);
            }
            else if (event.type === 'QueueCreated') {
                const name = event.json.inner('queue').text('name');
                const first = this.#queues.get(name);
                if (first !== undefined)
                    this.#twice(`queue ${name}`, name, first, seen);
                else
                    this.#queues.set(name, seen);
            }
            else if (event.type === 'JobCancelled') {
                this.#ended.add(event.json.text('jobId'));
            }
            else if (event.type === 'JobSucceeded' || event.type === 'JobFailed') {
                this.#ended.add(event.json.text('jobId'));
            }
        }
    }
    answered(answer) {
        const { requestId, call, ok, reason } = answer;
        const about = answer.jobId === '' ? requestId : answer.jobId;
        const at = `${call} ${requestId} (${answer.jobId}), answered at ${secondsText(answer.atMs)}`;
        const said = ok ? 'accepted' : `refused ${reason}`;
        const first = this.#told.get(requestId);
        if (first === undefined) {
            this.#told.set(requestId, answer);
        }
        else if (!FORGOTTEN.has(reason) && !sameAnswer(first, answer)) {
            const before = first.ok ? `accepted as ${first.jobId}` : `refused ${first.reason}`;
            this.#alarm(about, `${at}: ${said}; at ${secondsText(first.atMs)} it was ${before}`);
        }
        const service = call === 'queue' ? SERVICES.scheduler : SERVICES.mediator;
        const logged = this.#logged.get(`${service}/${requestId}`);
        if (ok) {
            if (logged?.ok !== true) {
                const log = logged === undefined ? 'does not hold it yet' : `refused it ${logged.reason}`;
                this.#alarm(about, `${at}: accepted, and the effective log of ${service} ${log}`);
            }
            this.#position(answer, { at, about, service, logged });
        }
        else if (logged?.ok === false && logged.reason !== reason && !FORGOTTEN.has(reason)) {
            const text = `${at}: refused ${reason}, the log says ${logged.reason}`;
            this.#alarm(about, `${text} in ${placeText(logged.at)}`);
        }
        if (call === 'submit')
            this.#submit(answer, at);
        if (call === 'cancel' && ok)
            this.#cancel(answer, at);
    }
    /** The position of an answer is that of its commit or a later one. */
    #position(answer, of) {
        const [service, , position] = answer.position.split(':');
        const { logged } = of;
        if (answer.position === '' || logged === undefined)
            return;
        if (service === of.service && Number(position) >= logged.at.position)
            return;
        const text = `${of.at}: its position is ${answer.position}, its commit is`;
        this.#alarm(of.about, `${text} ${placeText(logged.at)}: a read from there would miss it`);
    }
    #submit(answer, at) {
        const { requestId, ok } = answer;
        const jobId = this.#jobOfRequest.get(requestId);
        const job = jobId === undefined ? undefined : this.#jobs.get(jobId);
        if (!ok) {
            if (jobId === undefined || job === undefined || FORGOTTEN.has(answer.reason))
                return;
            if (job.rejected !== undefined)
                return;
            const text = `${at}: refused ${answer.reason}, and its job ${jobId} stands in`;
            const why = 'a refusal leaves nothing behind';
            this.#alarm(jobId, `${text} ${placeText(job.submitted)}: ${why}`);
            return;
        }
        if (jobId !== answer.jobId || job === undefined) {
            this.#alarm(answer.jobId, `${at}: the log holds ${jobId ?? 'no job'} for this request`);
        }
        else if (job.enqueued === undefined || job.rejected !== undefined) {
            const state = job.rejected === undefined ? 'not queued' : 'rejected';
            this.#alarm(jobId, `${at}: accepted, and in the mediator's log it is ${state}`);
        }
    }
    #cancel({ jobId }, at) {
        const job = this.#jobs.get(jobId);
        const over = job?.rejected !== undefined || this.#ended.has(jobId);
        if (job?.cancelRequested !== undefined || over)
            return;
        this.#alarm(jobId, `${at}: accepted, and the log of the mediator holds no such request`);
    }
    settled() {
        for (const answer of this.#told.values()) {
            if (!answer.ok || answer.call !== 'submit' || this.#queued.has(answer.jobId))
                continue;
            const text = `job ${answer.jobId} was acknowledged at ${secondsText(answer.atMs)}`;
            this.#alarm(answer.jobId, `${text}, and the scheduler's log does not hold it`);
        }
    }
}
function sameAnswer(a, b) {
    if (a.ok !== b.ok)
        return false;
    return a.ok ? a.jobId === b.jobId : a.reason === b.reason;
}
/** Compares answers with logs. */
export const acknowledged = ({ alarm }) => {
    const watch = new Acknowledged(alarm);
    return {
        committed: (seen) => watch.committed(seen),
        observe(observation) {
            if (observation.kind === 'answered')
                watch.answered(observation);
            else if (observation.kind === 'settled')
                watch.settled();
        },
    };
};
//# sourceMappingURL=acknowledged.js.map