/** At most one replica of a service can answer at any moment. */
import { secondsText } from './names.js';
/** Two that lead one epoch, or one that leads an epoch that was never opened. */
export const leaders = ({ alarm }) => {
    const services = new Map();
    const beliefsOf = (service) => {
        const beliefs = services.get(service) ?? { epoch: 0, leads: new Map() };
        services.set(service, beliefs);
        return beliefs;
    };
    return {
        claimed({ service, claim }) {
            beliefsOf(service).epoch = claim.epoch;
        },
        observe(observation) {
            if (observation.kind !== 'leading')
                return;
            const { service, process, epoch, leads, atMs } = observation;
            const beliefs = beliefsOf(service);
            if (!leads) {
                beliefs.leads.delete(process);
                return;
            }
            const at = `${service}, ${secondsText(atMs)}: ${process} leads epoch ${epoch}`;
            if (epoch > beliefs.epoch) {
                alarm(service, `${at}, and the log knows epochs up to ${beliefs.epoch} only`);
            }
            for (const [other, theirs] of beliefs.leads) {
                if (other === process || theirs !== epoch)
                    continue;
                alarm(service, `${at}, and ${other} leads the same epoch: both could answer`);
            }
            beliefs.leads.set(process, epoch);
        },
    };
};
//# sourceMappingURL=leaders.js.map