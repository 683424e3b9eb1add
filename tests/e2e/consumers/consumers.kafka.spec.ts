import { kafkaCluster } from '@serverless-ai/eventlog/testing/kafka'
import { expect, test } from 'vitest'
import { freshSeed } from '../../support/random.ts'
import { runConsumers } from './consumers.ts'

const cluster = kafkaCluster()

if (cluster !== undefined) {
  test('consumers of a topic that are killed have each event once, gaps mended', async () => {
    const seed = freshSeed()
    const brokers = cluster.brokers.join()
    const rest = { kills: 6, eventsPerKill: 500, say: () => undefined }
    const { breaches, facts } = await runConsumers({ seed, brokers, ...rest })
    expect(breaches, `seed ${seed}, ${JSON.stringify(facts)}`).toEqual([])
  })
}
