import { createServer, type Server } from 'node:http'
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server as TcpServer,
} from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { askProbe } from './probe.ts'

const open: (Server | TcpServer)[] = []
afterEach(async () => {
  for (const server of open.splice(0)) {
    if ('closeAllConnections' in server) server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})
function listening(server: Server | TcpServer): Promise<number> {
  open.push(server)
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}
const probe = (port: number, httpGet: string) => ({
  httpGet,
  port,
  periodMs: 1_000,
  timeoutMs: 300,
  failureThreshold: 3,
  successThreshold: 1,
})

it('asks by HTTP: 200 to 399 is good', async () => {
  const port = await listening(
    createServer(({ url }, response) => {
      if (url === '/slow') return
      response.statusCode = url === '/healthz' ? 204 : 503
      response.end('x'.repeat(100_000))
    }),
  )
  const ask = (path: string) => askProbe('127.0.0.1', probe(port, path))
  expect(await ask('/healthz')).toBe('')
  expect(await ask('/other')).toBe('GET /other: 503')
  expect(await ask('/slow')).toBe('GET /slow: no answer in 300 ms')
})

it('asks by a connection', async () => {
  const port = await listening(createTcpServer((socket) => socket.resume().end()))
  expect(await askProbe('127.0.0.1', probe(port, ''))).toBe('')
  await new Promise((resolve) => open.splice(0)[0]?.close(resolve))
  expect(await askProbe('127.0.0.1', probe(port, ''))).toBe(`port ${port}: ECONNREFUSED`)
  expect(await askProbe('127.0.0.1', probe(port, '/'))).toBe('GET /: ECONNREFUSED')
})

it('does not mind what speaks no HTTP', async () => {
  const port = await listening(createTcpServer((socket) => socket.resume().end('SSH-2.0-x\r\n')))
  expect(await askProbe('127.0.0.1', probe(port, '/'))).toMatch(/^GET \/: HPE_/)
})
