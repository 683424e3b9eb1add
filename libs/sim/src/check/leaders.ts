/** At most one replica of a service can answer at any moment. */
import { secondsText } from './names.ts'
import type { WatcherFactory } from './watcher.ts'

/** Who believes to lead a service. */
interface Beliefs {
  /** Newest effective epoch of its log. */
  epoch: number
  /** Process → epoch it leads. */
  readonly leads: Map<string, number>
}

/** Two that lead one epoch, or one that leads an epoch that was never opened. */
export const leaders: WatcherFactory = ({ alarm }) => {
  const services = new Map<string, Beliefs>()
  const beliefsOf = (service: string): Beliefs => {
    const beliefs = services.get(service) ?? { epoch: 0, leads: new Map() }
    services.set(service, beliefs)
    return beliefs
  }
  return {
    claimed({ service, claim }) {
      beliefsOf(service).epoch = claim.epoch
    },
    observe(observation) {
      if (observation.kind !== 'leading') return
      const { service, process, epoch, leads, atMs } = observation
      const beliefs = beliefsOf(service)
      if (!leads) {
        beliefs.leads.delete(process)
        return
      }
      const at = () => `${service}, ${secondsText(atMs)}: ${process} leads epoch ${epoch}`
      if (epoch > beliefs.epoch) {
        alarm(service, `${at()}, and the log knows epochs up to ${beliefs.epoch} only`)
      }
      for (const [other, theirs] of beliefs.leads) {
        if (other === process || theirs !== epoch) continue
        alarm(service, `${at()}, and ${other} leads the same epoch: both could answer`)
      }
      beliefs.leads.set(process, epoch)
    },
  }
}
