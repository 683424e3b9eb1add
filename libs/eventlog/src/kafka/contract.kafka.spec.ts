import { systemTimers } from '@serverless-ai/kernel/system'
import { seededRandomness } from '@serverless-ai/kernel/testing'
import type { EventLog } from '../port.ts'
import { eventLogContract } from '../testing/contract.ts'
import { address } from '../testing/contract-bench.ts'
import { FaultyLine } from '../testing/faulty-line.ts'
import { type FreshTopics, kafkaCluster } from '../testing/kafka.ts'

const cluster = kafkaCluster()

/** What others do to the cluster while the log stays open. */
const outside = (topics: FreshTopics) => ({
  async expire(log: EventLog, below: number) {
    const other = await topics.open()
    await other.trim(address, below)
    await other.close()
    return log
  },
  async restore(log: EventLog, end: number) {
    const other = await topics.open()
    const options = { from: 0, maxBytes: 1 << 20, waitMs: 0 }
    const { records } = await other.fetch(address, options)
    await topics.remove()
    await topics.make()
    for (const record of records.slice(0, end)) await other.append(address, [record])
    await other.close()
    return log
  },
})

if (cluster !== undefined) {
  eventLogContract('kafka', async () => {
    const topics = await cluster.freshTopics()
    return {
      exact: true,
      open: () => topics.open(),
      reopen: () => topics.open(),
      outside: outside(topics),
      dispose: () => topics.remove(),
    }
  })

  // A fresh seed per run: what fails is printed with it.
  const seed = Math.floor(Math.random() * 2 ** 32)
  const randomness = seededRandomness(seed)
  eventLogContract(`kafka over a faulty line, seed ${seed}`, async () => {
    const topics = await cluster.freshTopics()
    const line = await FaultyLine.start(cluster.brokers, systemTimers)
    line.drawFates({ lost: 0.12, unanswered: 0.12, late: 0.12, twice: 0.1 }, randomness)
    const open = () => topics.open({ dial: line.dial })
    return {
      exact: false,
      open,
      reopen: open,
      outside: outside(topics),
      async dispose() {
        await line.close()
        await topics.remove()
      },
    }
  })
}
