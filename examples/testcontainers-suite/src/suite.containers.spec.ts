import {
  DEFAULT_IMAGE,
  DEFAULT_KAFKA_IMAGE,
  engineProblem,
  ServerlessAiContainer,
  ServerlessAiEnvironment,
  type TestPlatform,
} from '@serverless-ai/testcontainers'
import { describe, it } from 'vitest'
import { configure, platformSuite } from './suite.ts'

const platform = process.env['SAI_IMAGE'] ?? DEFAULT_IMAGE
const kafka = process.env['SAI_KAFKA_IMAGE'] ?? DEFAULT_KAFKA_IMAGE

/** Broker and network are ended with the platform. */
async function startOnKafka(): Promise<TestPlatform> {
  const environment = new ServerlessAiEnvironment({ platform, kafka }).withPlatform(configure)
  const started = await environment.start()
  return Object.assign(started.platform, { [Symbol.asyncDispose]: () => started.stop() })
}

const problem = await engineProblem()
if (problem === undefined || process.env['CI']) {
  platformSuite('in a container', () => configure(new ServerlessAiContainer(platform)).start())
  platformSuite('on Kafka', startOnKafka)
} else {
  describe('in containers', () => it.skip(`left out: ${problem}`))
}
