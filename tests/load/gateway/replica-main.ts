// A replica for benchmarks. `/`: 1 KiB at once. `/work?ms=N`: 1 KiB after N ms. `/stream`: events,
// the first at once, further ones only at the end. Tells its port to its parent.
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

const BODY = Buffer.alloc(1_024, 'x')
const streams = new Set<ServerResponse>()

const server = createServer((request, response) => {
  request.resume()
  const url = new URL(request.url ?? '/', 'http://x')
  if (url.pathname === '/stream') {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: {}\n\n')
    streams.add(response)
    response.once('close', () => streams.delete(response))
    return
  }
  const answer = (): void => {
    response.writeHead(200, { 'content-length': BODY.length })
    response.end(BODY)
  }
  const ms = Number(url.searchParams.get('ms') ?? 0)
  if (ms > 0) setTimeout(answer, ms)
  else answer()
})
server.listen(0, '127.0.0.1', 16_384, () => {
  process.send?.({ port: (server.address() as AddressInfo).port })
})
// As a server ends that means well: what it has it ends, new connections it takes none.
process.once('SIGTERM', () => {
  server.close(() => process.exit(0))
  server.closeIdleConnections()
})
process.once('disconnect', () => process.exit(0))
