import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { createWorld } from './index.ts'
import { Echo, startEcho } from './testing/echo.ts'
import type { ProcessContext, Running } from './types.ts'

const ADDRESS = { topic: 'serverlessai.log.test.v1', partition: 0 }

setFlagsFromString('--expose-gc')
const gc: () => void = runInNewContext('gc')

/** Bytes that are held once all garbage is gone. */
async function heldBytes(): Promise<number> {
  for (let n = 0; n < 3; n += 1) {
    gc()
    // What is freed by a turn of the event loop is freed.
    await setImmediate()
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Waits for everything there is to wait for, none of which ends by itself soon. */
function waitForAll(context: ProcessContext): Running {
  const { eventLog, ports, transport } = context
  const memory = new Uint8Array(10_000)
  const { signal } = new AbortController()
  const client = transport.client(Echo, { address: 'server:7070' })
  const keep = (): unknown => memory
  const never = async (): Promise<void> => {
    for await (const _ of client.chat(
      (async function* () {
        yield { text: 'a' }
        await ports.timers.sleep(1e9, signal)
        keep()
      })(),
      { signal },
    )) {
      keep()
    }
  }
  void never()
  void client.say({ text: 'never' }, { timeoutMs: 1e8, signal }).then(keep)
  void eventLog.fetch(ADDRESS, { from: 0, maxBytes: 1, waitMs: 1e9, signal }).then(keep)
  void ports.timers.sleep(1e9, signal).then(keep)
  ports.timers.after(1e9, keep)
  void ports.disk.read('/f').then(keep)
  return { stop: async () => void keep() }
}

describe('thousands of restarts', () => {
  it('leave nothing behind', async () => {
    const world = createWorld({ seed: 1 })
    const server = startEcho(world, 'server')
    const machine = world.machine('m')
    await machine.disk.writeAtomic('/f', Buffer.from('x'))
    machine.setDiskFaults({ delayMs: [1e8, 1e8] })
    const victim = machine.process('p', waitForAll)
    const restart = async (times: number): Promise<void> => {
      server.said.length = 0
      server.ended.length = 0
      for (let n = 0; n < times; n += 1) {
        victim.start()
        await world.time.runUntil(world.time.nowMs + 5)
        victim.kill()
      }
      await world.time.runUntil(world.time.nowMs + 100)
      expect(server.said).toHaveLength(2 * times)
      expect(server.ended).toHaveLength(times)
      expect(world.time.pending).toBe(0)
      expect(world.store.partition(ADDRESS).waiters.size).toBe(0)
    }
    await restart(500)
    const before = await heldBytes()
    await restart(2_500)
    // One life holds more than 10 KB.
    expect(((await heldBytes()) - before) / 2_500).toBeLessThan(1_000)
  })
})
