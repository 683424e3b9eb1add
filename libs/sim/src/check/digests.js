/**
 * All who hold the state at a position hold the same one: replicas, the digests that leaders log,
 * and the snapshots that were verified.
 */
import { placeText } from './names.js';
/** Positions that are remembered, over all services. */
const KEPT = 16_384;
/** Compares digests. */
export const digests = ({ alarm }) => {
    const known = new Map();
    const compare = (at) => {
        const { service, position, digest, who } = at;
        const key = `${service}/${position}`;
        const first = known.get(key);
        if (first === undefined) {
            known.set(key, { digest, who });
            if (known.size > KEPT)
                known.delete(known.keys().next().value ?? '');
        }
        else if (first.digest !== digest) {
            const text = `state of ${service} at position ${position}: ${who} has ${digest.slice(0, 12)}…`;
            alarm(service, `${text}, ${first.who} has ${first.digest.slice(0, 12)}…: all have the same`);
        }
    };
    return {
        committed(seen) {
            for (const { type, json } of seen.commit.runtime) {
                if (type !== 'StateDigest' && type !== 'SnapshotVerified')
                    continue;
                const position = json.number('position');
                const digest = json.text('digest');
                const who = `${type} in ${placeText(seen)}`;
                compare({ service: seen.service, position, digest, who });
            }
        },
        observe(observation) {
            if (observation.kind !== 'digest')
                return;
            const { service, position, digest, process: who } = observation;
            compare({ service, position, digest, who });
        },
    };
};
//# sourceMappingURL=digests.js.map