import { createServer } from 'node:net'
import { systemRandomness } from '@serverless-ai/kernel/system'

export type { Timers } from '@serverless-ai/kernel'

/** Letters and digits by chance, two per byte. */
export const randomToken = (bytes: number): string =>
  Buffer.from(systemRandomness.bytes(bytes)).toString('hex')

function bindable(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Below the range that the kernel gives out by itself. */
const FIRST_PORT = 10_000
const LAST_PORT = 30_000
const ATTEMPTS = 200

/**
 * The first of `count` neighbouring free ports on the loopback. Free now: another process may still
 * be faster.
 */
export async function freePorts(count: number): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const chance = Number.parseInt(randomToken(3), 16) % (LAST_PORT - FIRST_PORT)
    const ports = Array.from({ length: count }, (_, index) => FIRST_PORT + chance + index)
    const free = await Promise.all(ports.map(bindable))
    if (free.every(Boolean)) return FIRST_PORT + chance
  }
  throw new Error(`no ${count} neighbouring free ports found`)
}
