import { ServerlessAiTwin } from '@serverless-ai/testcontainers/twin'
import { configure, platformSuite } from './suite.ts'

platformSuite('in this process', () => configure(new ServerlessAiTwin()).start())
