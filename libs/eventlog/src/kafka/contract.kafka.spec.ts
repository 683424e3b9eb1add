import { systemTimers } from '@serverless-ai/kernel/system'
import { seededRandomness } from '@serverless-ai/kernel/testing'
import { eventLogContract } from '../testing/contract.ts'
import { FaultyLine } from '../testing/faulty-line.ts'
import { kafkaCluster } from '../testing/kafka.ts'

const cluster = kafkaCluster()

if (cluster !== undefined) {
  eventLogContract('kafka', async () => {
    const topics = await cluster.freshTopics()
    return {
      exact: true,
      open: () => topics.open(),
      reopen: () => topics.open(),
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
      async dispose() {
        await line.close()
        await topics.remove()
      },
    }
  })
}
