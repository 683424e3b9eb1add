/** Names of the services whose logs are looked at. */
export const SERVICES = {
    scheduler: 'scheduler',
    pool: 'pool-manager',
    mediator: 'mediator',
    faults: 'fault-tolerance',
};
/** `scheduler log 17 (landed at 12.345 s)`. */
export const placeText = ({ service, position, landedMs }) => `${service} log ${position} (landed at ${secondsText(landedMs)})`;
/** `12.345 s`. */
export const secondsText = (ms) => `${(ms / 1000).toFixed(3)} s`;
/** Key of a gang in maps. */
export const gangKey = (jobId, gang) => `${jobId}/${gang}`;
/** Key of an execution in maps. */
export const taskKey = (key) => `${key.jobId}/${key.gang}/${key.generation}/${key.rank}`;
/** `j-0-1 gang 0 generation 2 rank 3`. */
export const taskText = (key) => `${generationText(key.jobId, key.gang, key.generation)} rank ${key.rank}`;
/** `j-0-1 gang 0 generation 2`. */
export const generationText = (jobId, gang, generation) => `${jobId} gang ${gang} generation ${generation}`;
const ENDS = new Set(['Succeeded', 'Failed', 'Cancelled']);
/** True for a state of the scheduler that nothing may change. */
export const isEnd = (state) => ENDS.has(state);
//# sourceMappingURL=names.js.map