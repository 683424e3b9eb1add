import { createServer, type Server, type Socket } from 'node:net'
import type { Logger } from '@serverless-ai/kernel'
import { systemClock, systemTimers } from '@serverless-ai/kernel/system'
import { afterEach, expect, it } from 'vitest'
import { batchOf } from '../testing/contract.ts'
import { openKafkaBus } from './open.ts'

const quiet: Logger = { log: () => undefined, child: () => quiet }
const ports = { clock: systemClock, timers: systemTimers, logger: quiet }

let server: Server | undefined
const sockets = new Set<Socket>()
afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  await new Promise((resolve) => (server === undefined ? resolve(0) : server.close(resolve)))
  server = undefined
})

/** A broker that takes connections and says nothing. */
function silentBroker(): Promise<string> {
  return new Promise((resolve, reject) => {
    server = createServer((socket) => sockets.add(socket))
    server.listen(0, '127.0.0.1', () => {
      const address = server?.address()
      if (typeof address === 'object' && address !== null) resolve(`127.0.0.1:${address.port}`)
      else reject(new Error('no port'))
    })
  })
}

it.each([
  ['that says nothing', silentBroker],
  ['that is not there', async () => '127.0.0.1:1'],
])('a broker %s takes nothing, holds nobody up and is waited for by nobody', async (_, where) => {
  const brokers = [await where()]
  const settings = { brokers, connectTimeoutMs: 500, requestTimeoutMs: 1_000 }
  const bus = openKafkaBus({ ...settings, ports, partition: 0, queueMaxBytes: 10_000 })
  const reader = bus.subscribe()
  for (let seq = 1; seq <= 20_000; seq += 1) bus.publish(batchOf('node/n1', seq))
  const { sent, dropped } = bus.counts
  expect(sent + dropped).toBe(20_000)
  // As many as fit into the queue, and no more.
  expect(sent).toBeLessThan(1_000)
  while (bus.counts.lost < sent) await systemTimers.sleep(20)
  // What was taken and lost makes room.
  expect(bus.publish(batchOf('node/n1', 20_001))).toBe('sent')
  expect(reader.counts.received).toBe(0)
  await bus.close()
  expect(bus.publish(batchOf('node/n1', 20_002))).toBe('dropped')
})

it('a batch that no batch can be is dropped', async () => {
  const bus = openKafkaBus({ brokers: ['127.0.0.1:1'], ports, partition: 0 })
  expect(bus.publish({ ...batchOf('node/n1', 1), seq: -1n })).toBe('dropped')
  expect(bus.counts).toEqual({ sent: 0, dropped: 1, lost: 0 })
  await bus.close()
})
