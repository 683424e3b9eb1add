import { PassThrough } from 'node:stream'
import { testPorts } from '@serverless-ai/kernel/testing'
import { expect, test } from 'vitest'
import { Buffers, collect } from './body.ts'

const { timers } = testPorts({ seed: 1 })
const rules = (buffers: Buffers) => ({ maxBytes: 1_000, stallMs: 1_000, timers, buffers })
const closed = (body: PassThrough) => new Promise((resolve) => body.once('close', resolve))

test('the bytes of a body count until they are released, closed or not', async () => {
  const buffers = new Buffers(1_000)
  const body = new PassThrough()
  const collected = collect(body, rules(buffers))
  body.end(Buffer.alloc(600))
  const { bytes, release } = await collected
  if (!body.closed) await closed(body)
  expect([bytes.length, buffers.bytes]).toEqual([600, 600])
  const second = new PassThrough()
  const refused = collect(second, rules(buffers))
  second.end(Buffer.alloc(600))
  await expect(refused).rejects.toMatchObject({ reason: 'GATEWAY_FULL' })
  expect(buffers.bytes).toBe(600)
  release()
  release()
  expect(buffers.bytes).toBe(0)
})

test('a body that breaks off gives its bytes back', async () => {
  const buffers = new Buffers(1_000)
  const body = new PassThrough()
  const collected = collect(body, rules(buffers))
  body.write(Buffer.alloc(100))
  await new Promise((resolve) => setImmediate(resolve))
  expect(buffers.bytes).toBe(100)
  body.destroy()
  await expect(collected).rejects.toMatchObject({ reason: 'CANCELLED' })
  expect(buffers.bytes).toBe(0)
})
