import { Agent, createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { openLoop } from './open-loop.ts'

test('a stall delays all requests that are due meanwhile, and each of them counts', async () => {
  const held: ServerResponse[] = []
  let stalled = true
  const server = createServer((_, response) => {
    if (stalled) held.push(response)
    else response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  // One connection: a closed loop would send one request in the whole stall.
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const load = { url: `http://127.0.0.1:${port}/`, agent, rate: 100 }
  setTimeout(() => {
    stalled = false
    for (const response of held) response.end()
  }, 500)
  const answers = await openLoop(load, { seed: 1, durationMs: 1_000 })
  expect(answers.length).toBeGreaterThan(70)
  expect(answers.every(({ status }) => status === 200)).toBe(true)
  // The stall ended when the first of them was answered; all that were due before waited for it.
  const endMs = Math.min(...answers.map(({ dueMs, latencyMs }) => dueMs + latencyMs))
  expect(endMs).toBeGreaterThan(200)
  const early = answers.filter(({ dueMs }) => dueMs < endMs)
  expect(early.length).toBeGreaterThan(15)
  const waits = early.map(({ latencyMs }) => latencyMs)
  expect(Math.max(...waits)).toBeGreaterThan(endMs - 100)
  const mean = waits.reduce((sum, wait) => sum + wait, 0) / waits.length
  expect(mean).toBeGreaterThan(endMs / 3)
  agent.destroy()
  server.close()
})

test('the same seed gives the same arrivals', async () => {
  const agent = new Agent()
  const load = { url: 'http://127.0.0.1:1/', agent, rate: 200 }
  const run = () => openLoop(load, { seed: 5, durationMs: 100 })
  const [one, other] = [await run(), await run()]
  expect(one.map(({ dueMs }) => dueMs)).toEqual(other.map(({ dueMs }) => dueMs))
  expect(one.length).toBeGreaterThan(5)
  // Nobody listens there.
  expect(one.every(({ status }) => status === 0)).toBe(true)
})
