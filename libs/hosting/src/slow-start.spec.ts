import { testPorts } from '@serverless-ai/kernel/testing'
import { expect, it } from 'vitest'
import { tellSlow } from './slow-start.ts'

it('says what a start waits for, until it has it', async () => {
  const ports = testPorts({ seed: 1 })
  const gate = Promise.withResolvers<string>()
  let doing = 'asking the brokers'
  const started = tellSlow(ports, () => doing, gate.promise)
  await ports.time.advance(10_000)
  doing = 'reading the log'
  await ports.time.advance(10_000)
  gate.resolve('there')
  expect(await started).toBe('there')
  await ports.time.advance(60_000)
  expect(ports.logger.lines).toMatchObject([
    { level: 'warn', fields: { doing: 'asking the brokers', waitedMs: 10_000 } },
    { level: 'warn', fields: { doing: 'reading the log', waitedMs: 20_000 } },
  ])
})
