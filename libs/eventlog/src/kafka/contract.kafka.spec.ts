import { eventLogContract } from '../testing/contract.ts'
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
}
