import { ServerlessAiTwin } from '@serverless-ai/testcontainers/twin'
import { platformSuite } from './suite.ts'

platformSuite('in this process', () =>
  new ServerlessAiTwin()
    .withNodes(3, { gpu: 'H100', count: 2 })
    .withConfig({ leaseMs: 2_000 })
    .start(),
)
