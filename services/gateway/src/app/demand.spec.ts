import type { DemandRequest } from '@serverless-ai/contracts/scaling/v1/scaling'
import { type Logger, RpcError } from '@serverless-ai/kernel'
import { VirtualTime } from '@serverless-ai/kernel/testing'
import { expect, test } from 'vitest'
import { CalledDemand } from './demand.ts'

/** An autoscaler that answers when the test says so. */
function world() {
  const time = new VirtualTime()
  const asked: DemandRequest[] = []
  const said: string[] = []
  const answers: ((error?: RpcError) => void)[] = []
  const logger: Logger = { log: (level) => said.push(level), child: () => logger }
  const demand = new CalledDemand({
    scaling: {
      demand: (request) => {
        asked.push(request)
        return new Promise((resolve, reject) => {
          answers.push((error) => (error === undefined ? resolve({ wanted: 1 }) : reject(error)))
        })
      },
    },
    gateway: 'gateway/g1',
    ports: { clock: time, logger },
  })
  const answer = async (error?: RpcError) => {
    answers.shift()?.(error)
    await time.advance(0)
  }
  const hold = (queued: number, jobId = 'j') => demand.demand({ jobId, queued, oldestMs: 12.6 })
  return { time, asked, said, answer, hold }
}
const away = new RpcError({ code: 'UNAVAILABLE', reason: 'NOT_CONNECTED', message: 'away' })

test('the first held request is told at once, further ones with the next second', async () => {
  const { time, asked, answer, hold } = world()
  hold(1)
  expect(asked).toEqual([{ jobId: 'j', queued: 1, oldestMs: 13n, gateway: 'gateway/g1' }])
  await answer()
  for (let queued = 2; queued < 50; queued += 1) hold(queued)
  expect(asked).toHaveLength(1)
  await time.advance(1_000)
  hold(50)
  expect(asked.map(({ queued }) => queued)).toEqual([1, 50])
  // Another service has nothing to do with it, and a new line is told at once again.
  hold(1, 'k')
  await answer()
  await answer()
  hold(1)
  expect(asked.map(({ jobId }) => jobId)).toEqual(['j', 'j', 'k', 'j'])
})

test('one call about a service is under way at a time', async () => {
  const { time, asked, answer, hold } = world()
  hold(1)
  for (let second = 0; second < 5; second += 1) {
    await time.advance(1_000)
    hold(1)
    hold(9)
  }
  expect(asked).toHaveLength(1)
  await answer()
  hold(9)
  expect(asked).toHaveLength(2)
})

test('an autoscaler that is away is said once, and again when it is back', async () => {
  const { time, said, answer, hold } = world()
  for (let second = 0; second < 5; second += 1) {
    hold(3)
    await answer(away)
    await time.advance(1_000)
  }
  expect(said).toEqual(['warn'])
  hold(3)
  await answer()
  expect(said).toEqual(['warn', 'info'])
  await time.advance(1_000)
  hold(3)
  // A service that it has not heard of yet is no trouble.
  await answer(new RpcError({ code: 'NOT_FOUND', reason: 'TARGET_NOT_FOUND', message: '' }))
  expect(said).toEqual(['warn', 'info'])
})
