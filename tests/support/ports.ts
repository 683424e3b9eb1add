import { createServer } from 'node:net'

function bindable(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/**
 * The first of `count` neighbouring free ports on the loopback, below the range that the kernel
 * gives out by itself. Free now: another process may still be faster.
 */
export async function freePorts(count: number): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const first = 10_000 + Math.floor(Math.random() * 20_000)
    const ports = Array.from({ length: count }, (_, index) => first + index)
    const free = await Promise.all(ports.map(bindable))
    if (free.every(Boolean)) return first
  }
  throw new Error(`no ${count} neighbouring free ports found`)
}
