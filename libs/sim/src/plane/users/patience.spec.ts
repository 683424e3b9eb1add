import { type RpcCode, RpcError } from '@serverless-ai/kernel'
import { seededRandomness, VirtualTime } from '@serverless-ai/kernel/testing'
import { expect, test } from 'vitest'
import { insist } from './patience.ts'

const failure = (code: RpcCode, reason: string): RpcError =>
  new RpcError({ code, reason, message: '' })

/** Insists on a call that fails as listed and then succeeds; the answer and the failures. */
async function insistOn(errors: readonly unknown[]) {
  const timers = new VirtualTime()
  const failures: unknown[] = []
  const onFailure = (error: unknown): unknown => failures.push(error)
  const call = async (attempt: number): Promise<string> => {
    const error = errors[attempt - 1]
    if (error !== undefined) throw error
    return 'done'
  }
  const random = seededRandomness(1)
  const answer = await timers.run(insist(call, { timers, random, onFailure }))
  return { answer, failures, waitedMs: timers.nowMs }
}

test('asks again after whatever is no answer', async () => {
  const errors = [
    failure('UNAVAILABLE', 'NOT_LEADING'),
    failure('DEADLINE_EXCEEDED', 'ENQUEUE_PENDING'),
    failure('RESOURCE_EXHAUSTED', 'MAILBOX_FULL'),
    failure('INVALID_ARGUMENT', 'REQUEST_FROM_FUTURE'),
  ]
  const { answer, failures, waitedMs } = await insistOn(errors)
  expect(answer).toEqual({ ok: true, value: 'done' })
  expect(failures).toEqual(errors)
  expect(waitedMs).toBeGreaterThan(1_000)
})

test('takes a refusal for an answer', async () => {
  const { answer } = await insistOn([failure('NOT_FOUND', 'UNKNOWN_QUEUE')])
  expect(answer).toEqual({ ok: false, reason: 'UNKNOWN_QUEUE' })
})

test('does not swallow an error of the program itself', async () => {
  await expect(insistOn([new TypeError('a bug')])).rejects.toThrow('a bug')
})
