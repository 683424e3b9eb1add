// Global setup of the vitest project `kafka`: one broker for all of its specs.
import type {} from '@serverless-ai/eventlog/testing/kafka'
import type { TestProject } from 'vitest/node'
import { NoBrokerError, startKafkaBroker } from './kafka-broker.ts'

/** Starts the broker, tells the specs of it, and returns what stops it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  try {
    const broker = await startKafkaBroker()
    project.provide('kafkaBrokers', broker.brokers)
    console.log(`broker: ${broker.from}`)
    return () => broker.stop()
  } catch (error) {
    // With CI set a missing broker is a failure; elsewhere the suite says what it leaves out.
    if (!(error instanceof NoBrokerError) || process.env['CI']) throw error
    console.log(`left out: ${error.message}`)
    project.provide('kafkaBrokers', '')
    return async () => undefined
  }
}
