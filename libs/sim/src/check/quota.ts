/** Placed jobs of a queue never hold more than its maximum; a release makes room at once. */
import { type Amount, amountOf } from './ledger.ts'
import { gangKey, generationText, placeText } from './names.ts'
import type { WatcherFactory } from './watcher.ts'

const DIMENSIONS = ['devices', 'cpuMillis', 'memoryMib'] as const

/** A queue and what its placed gangs hold. */
interface QueueSeen {
  maximum: Amount
  readonly used: { devices: number; cpuMillis: number; memoryMib: number }
}

/** Sums up what each queue holds. */
export const quota: WatcherFactory = ({ alarm, ledger }) => {
  const queues = new Map<string, QueueSeen>()
  /** Gang → what its present generation holds of which queue. */
  const holds = new Map<string, { readonly queue: QueueSeen; readonly amount: Amount }>()
  const queueOf = (name: string): QueueSeen => {
    const known = queues.get(name)
    if (known !== undefined) return known
    const none = () => ({ devices: 0, cpuMillis: 0, memoryMib: 0 })
    const queue: QueueSeen = { maximum: none(), used: none() }
    queues.set(name, queue)
    return queue
  }
  const giveBack = (key: string): void => {
    const held = holds.get(key)
    if (held === undefined) return
    for (const dimension of DIMENSIONS) held.queue.used[dimension] -= held.amount[dimension]
    holds.delete(key)
  }
  return {
    event(event) {
      const { body } = event
      if (body.is === 'QueueChanged') {
        const { name, maximum } = body.value.queue ?? { name: '', maximum: undefined }
        queueOf(name).maximum = amountOf(maximum)
      } else if (body.is === 'GangReleased') {
        giveBack(gangKey(body.value.jobId, body.value.gang))
      } else if (body.is === 'GangPlaced') {
        const { jobId, gang, generation, nodeOfRank } = body.value
        const name = ledger.jobs.get(jobId)?.queue ?? ''
        const queue = queueOf(name)
        const { devices, cpuMillis, memoryMib } = amountOf(body.value.perTask)
        const ranks = nodeOfRank.length
        const amount = {
          devices: devices * ranks,
          cpuMillis: cpuMillis * ranks,
          memoryMib: memoryMib * ranks,
        }
        giveBack(gangKey(jobId, gang))
        holds.set(gangKey(jobId, gang), { queue, amount })
        for (const dimension of DIMENSIONS) {
          queue.used[dimension] += amount[dimension]
          const most = queue.maximum[dimension]
          if (most === 0 || queue.used[dimension] <= most) continue
          const what = `${generationText(jobId, gang, generation)} is placed in ${placeText(event)}`
          const text = `${queue.used[dimension]} ${dimension} with it, its maximum is ${most}`
          alarm(jobId, `${what}: queue ${name} holds ${text}`)
        }
      }
    },
  }
}
