import { createServer } from 'node:net'
import { codeOf } from '../../core/errors.ts'

function tryListen(port: number, host: string): Promise<string> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error) => resolve(codeOf(error)))
    server.listen({ port, host, exclusive: true, ipv6Only: host === '::' }, () =>
      server.close(() => resolve('')),
    )
  })
}

/** True when nobody listens on the port on any address of the machine. */
export async function isPortFree(port: number): Promise<boolean> {
  // A machine without IPv6 refuses `::` with another code than EADDRINUSE.
  for (const host of ['0.0.0.0', '::']) {
    const code = await tryListen(port, host)
    if (code === 'EADDRINUSE' || code === 'EACCES') return false
  }
  return true
}

/** Which ports of a range are free, in order. */
export async function probePorts(first: number, last: number): Promise<boolean[]> {
  const free: boolean[] = []
  for (let port = first; port <= last; port += 64) {
    const batch: Promise<boolean>[] = []
    for (let i = port; i < port + 64 && i <= last; i += 1) batch.push(isPortFree(i))
    free.push(...(await Promise.all(batch)))
  }
  return free
}
