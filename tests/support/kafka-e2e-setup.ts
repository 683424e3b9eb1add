// Global setup of the vitest project `kafka-e2e`: one broker for all of its platforms.
import { NoBrokerError, startKafkaBroker } from './kafka-broker.ts'

/** Starts the broker and tells the specs of it by the environment; returns what stops it. */
export default async function setup(): Promise<() => Promise<void>> {
  try {
    const broker = await startKafkaBroker()
    process.env['SAI_TEST_LOG'] = 'kafka'
    process.env['SAI_TEST_BROKERS'] = broker.brokers
    console.log(`broker: ${broker.from}`)
    return () => broker.stop()
  } catch (error) {
    // There is nothing else in this project: who names it wants it.
    if (!(error instanceof NoBrokerError)) throw error
    throw new Error(`the suites on Kafka cannot run: ${error.message}`)
  }
}
