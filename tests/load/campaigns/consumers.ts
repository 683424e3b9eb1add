import { runConsumers } from '../../e2e/consumers/consumers.ts'
import { startKafkaBroker } from '../../support/kafka-broker.ts'
import { inPieces } from './pieces.ts'

const EVENTS_PER_KILL = 1_000

/** SIGKILL to consumers of public events while a publisher repeats, is late and leaves out. */
export const consumers = inPieces({
  name: 'consumers',
  about:
    `COUNT (default 100) kills of consumers of public events, ${EVENTS_PER_KILL} events each: ` +
    'half read from Kafka, half watch by gRPC; the publisher repeats, is late, and leaves out',
  full: 100,
  slice: 10,
  perCase: 20,
  settings: { eventsPerKill: EVENTS_PER_KILL, consumers: ['kafka', 'grpc'] },
  async run({ seed, first, count }) {
    await using broker = await disposable()
    const { brokers } = broker
    const say = (line: string) => console.log(`    ${line}`)
    const rest = { kills: count, eventsPerKill: EVENTS_PER_KILL, say }
    const { breaches, facts } = await runConsumers({ seed: seed + first, brokers, ...rest })
    if (breaches.length > 0) throw new Error(breaches.join('; '))
    return facts
  },
})

/** A broker; on a machine full of other work the first one may not come up in time. */
async function disposable() {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const broker = await startKafkaBroker()
      return { brokers: broker.brokers, [Symbol.asyncDispose]: () => broker.stop() }
    } catch (error) {
      if (attempt === 3) throw error
      console.log(`    no broker yet: ${String(error)}`)
    }
  }
}
