import type { JobRequest } from '@serverless-ai/contracts/schedule/v1/schedule'
import { expect, test } from 'vitest'
import { GoodAdvice } from './advice.ts'

const job = (words: { queue?: string; tasks?: number; name?: string }): JobRequest => ({
  jobId: '',
  service: undefined,
  tenant: 'a',
  queue: words.queue ?? 'q',
  name: words.name ?? 'x',
  gangs: [
    {
      tasks: words.tasks ?? 1,
      perTask: { devices: 1, cpuMillis: 100n, memoryMib: 64n },
      deviceModels: [],
      rank0Ports: 1,
      exclusive: false,
      minTasks: 0,
      maxTasks: 0,
      cooldownMs: 0n,
      noticeMs: 0n,
    },
  ],
  waitForCapacity: false,
  priority: 0,
  submittedMs: 0n,
})

test('another job of the same shape is welcome for two seconds, another shape is asked for', () => {
  const advice = new GoodAdvice()
  advice.remember(job({}), 1_000)
  expect(advice.has(job({ name: 'other' }), 2_999)).toBe(true)
  expect(advice.has(job({}), 3_000)).toBe(false)
  expect(advice.has(job({ tasks: 2 }), 1_000)).toBe(false)
  expect(advice.has(job({ queue: 'p' }), 1_000)).toBe(false)
})

test('a thousand shapes are remembered, the oldest goes first', () => {
  const advice = new GoodAdvice()
  for (let tasks = 1; tasks <= 1_001; tasks++) advice.remember(job({ tasks }), 0)
  expect(advice.has(job({ tasks: 1 }), 0)).toBe(false)
  expect(advice.has(job({ tasks: 2 }), 0)).toBe(true)
})
