import { placeText, secondsText, taskKey, taskText } from './names.js';
const runningText = ({ key, sinceMs }) => `${taskText(key)}, which runs since ${secondsText(sinceMs)}`;
class Processes {
    #alarm;
    #ledger;
    /** `<node>/<device>` → who runs there. */
    #onDevice = new Map();
    /** Every execution that ever began: where and when. */
    #begun = new Map();
    constructor({ alarm, ledger }) {
        this.#alarm = alarm;
        this.#ledger = ledger;
    }
    started(seen) {
        const { key, node, atMs, exclusive, devices } = seen;
        const { jobId } = key;
        const at = `${taskText(key)} starts on ${node} at ${secondsText(atMs)}`;
        const before = this.#begun.get(taskKey(key));
        if (before !== undefined) {
            const text = `it was started on ${before.node} at ${secondsText(before.atMs)}`;
            this.#alarm(jobId, `${at}: ${text}, and an execution is started at most once`);
        }
        this.#begun.set(taskKey(key), { node, atMs });
        const task = { key, node, devices, exclusive, sinceMs: atMs };
        for (const device of devices) {
            const place = `${node}/${device}`;
            const other = this.#onDevice.get(place);
            if (other !== undefined) {
                this.#alarm(jobId, `${at} on device ${device}, beside ${runningText(other)}`);
            }
            this.#onDevice.set(place, task);
        }
        this.#placed(seen, at);
    }
    /** What runs was placed so. */
    #placed({ key, node, devices, exclusive }, at) {
        const { jobId, rank } = key;
        const tell = (text) => this.#alarm(jobId, `${at}: ${text}`);
        const placement = this.#ledger.placement(key);
        if (placement === undefined) {
            tell('this generation was never placed');
            return;
        }
        const given = `${placement.nodes[rank] ?? 'no node'} in ${placeText(placement.at)}`;
        if (placement.nodes[rank] !== node)
            tell(`it was placed on ${given}`);
        const own = placement.devices[rank] ?? [];
        if (own.length !== devices.length || own.some((device) => !devices.includes(device))) {
            tell(`it runs on devices ${devices.join(',')} and was given ${own.join(',')} of ${given}`);
        }
        if (placement.exclusive !== exclusive) {
            const said = placement.exclusive ? 'exclusive' : 'not exclusive';
            tell(`its node takes it for the opposite, it was placed as ${said} on ${given}`);
        }
        if (placement.freed.has(rank))
            tell('its devices were told to be free before');
    }
    ended(key, node) {
        const task = this.#ledger.running.get(taskKey(key));
        for (const device of task?.devices ?? []) {
            const place = `${node}/${device}`;
            const on = this.#onDevice.get(place);
            if (on !== undefined && taskKey(on.key) === taskKey(key))
                this.#onDevice.delete(place);
        }
    }
}
/** Follows real processes. */
export const processes = (init) => {
    const watch = new Processes(init);
    return {
        event(event) {
            const { body } = event;
            if (body.is !== 'DevicesFreed')
                return;
            const { jobId, gang, generation, ranks, nodeId } = body.value;
            for (const rank of ranks) {
                const key = { jobId, gang, generation, rank };
                const task = init.ledger.running.get(taskKey(key));
                if (task === undefined)
                    continue;
                const text = `devices of ${taskText(key)} on ${nodeId} are told to be free in`;
                const still = `and it runs on ${task.node} since ${secondsText(task.sinceMs)}`;
                init.alarm(jobId, `${text} ${placeText(event)}, ${still}`);
            }
        },
        observe(observation) {
            if (observation.kind === 'task-started')
                watch.started(observation);
            else if (observation.kind === 'task-ended')
                watch.ended(observation.key, observation.node);
        },
    };
};
//# sourceMappingURL=processes.js.map