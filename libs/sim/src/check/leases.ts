/** A leader answers heartbeats only after a commit of its own that began later was effective. */
import { SERVICES, secondsText } from './names.ts'
import type { WatcherFactory } from './watcher.ts'

/** A deposed leader that answers keeps nodes alive that its successor believes lost. */
export const leases: WatcherFactory = ({ alarm }) => {
  /** Epoch of the pool manager → when its newest effective commit landed. */
  const newestMs = new Map<number, number>()
  return {
    committed({ service, commit, landedMs }) {
      if (service === SERVICES.pool) newestMs.set(commit.epoch, landedMs)
    },
    observe(observation) {
      if (observation.kind !== 'lease-renewed') return
      const { node, epoch, sentMs, atMs } = observation
      const provenMs = newestMs.get(epoch)
      if (provenMs !== undefined && provenMs >= sentMs) return
      const proof =
        provenMs === undefined ? 'none ever did' : `the last one did at ${secondsText(provenMs)}`
      alarm(
        node,
        `${node} sent a heartbeat at ${secondsText(sentMs)} and its lease was renewed by ` +
          `${secondsText(atMs)} by the leader of epoch ${epoch}, of which no commit landed ` +
          `in between (${proof}): that leader may long be deposed`,
      )
    },
  }
}
