/** Tasks of an exclusive gang never run in two generations at once (promise P6). */
import type { RunningTask } from './ledger.ts'
import { gangKey, secondsText, taskKey, taskText } from './names.ts'
import type { WatcherFactory } from './watcher.ts'

/** Follows the exclusive tasks that really run. */
export const exclusive: WatcherFactory = ({ alarm }) => {
  const running = new Map<string, Map<string, RunningTask>>()
  return {
    observe(observation) {
      if (observation.kind === 'task-started' && observation.exclusive) {
        const { key, node, devices, atMs } = observation
        const gang = running.get(gangKey(key.jobId, key.gang)) ?? new Map<string, RunningTask>()
        running.set(gangKey(key.jobId, key.gang), gang)
        for (const other of gang.values()) {
          if (other.key.generation === key.generation && other.key.rank !== key.rank) continue
          const text = `${taskText(key)} starts on ${node} at ${secondsText(atMs)}`
          const still = `${taskText(other.key)} runs on ${other.node}`
          const since = `since ${secondsText(other.sinceMs)}`
          alarm(key.jobId, `exclusive ${text} while ${still} ${since}: never two at once`)
        }
        gang.set(taskKey(key), { key, node, devices, exclusive: true, sinceMs: atMs })
      } else if (observation.kind === 'task-ended') {
        const { key } = observation
        running.get(gangKey(key.jobId, key.gang))?.delete(taskKey(key))
      }
    },
  }
}
