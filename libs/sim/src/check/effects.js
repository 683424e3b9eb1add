/** Effects: each is carried out before it is settled, and none stays open (promise P9). */
import { isEnd, placeText } from './names.js';
/** Why an effect cannot be settled yet; empty = it can. */
function undone({ ledger }, key) {
    const [kind, jobId = '', gang = '0', generation = '0'] = key.split(':');
    const job = ledger.jobs.get(jobId);
    if (job === undefined || isEnd(job.state))
        return '';
    if (kind === 'cancel')
        return `${jobId} is ${job.state} for the scheduler`;
    if (kind !== 'recover' && kind !== 'giveup')
        return '';
    const released = job.gangs.get(Number(gang))?.releasedThrough ?? 0;
    if (released >= Number(generation))
        return '';
    return `generation ${generation} is not released, and ${jobId} is ${job.state}`;
}
/** Follows effects in the logs. */
export const effects = (init) => {
    const open = new Map();
    const settle = (seen, key) => {
        open.delete(`${seen.service}/${key}`);
        const why = undone(init, key);
        if (why === '')
            return;
        init.alarm(key, `effect ${key} is settled in ${placeText(seen)} without being done: ${why}`);
    };
    return {
        committed(seen) {
            const { service, position, landedMs } = seen;
            for (const { type, json } of seen.commit.runtime) {
                if (type === 'EffectSettled') {
                    settle(seen, json.text('key'));
                }
                else if (type === 'EffectAdded') {
                    const key = json.text('key');
                    open.set(`${service}/${key}`, { service, position, landedMs, key });
                }
            }
        },
        observe(observation) {
            if (observation.kind !== 'settled')
                return;
            for (const effect of open.values()) {
                const text = `effect ${effect.key} of ${placeText(effect)} is still open`;
                init.alarm(effect.key, `${text}: every effect is carried out`);
            }
        },
    };
};
//# sourceMappingURL=effects.js.map