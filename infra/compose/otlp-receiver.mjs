// Takes traces by OTLP over HTTP and says how much came: stands in for the collector where there is
// no registry. GET / answers with what was taken.
import { createServer } from 'node:http'

const PORT = 4318
const taken = { requests: 0, bytes: 0 }

createServer((request, response) => {
  if (request.method === 'GET') {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(taken))
    return
  }
  request.on('data', (piece) => {
    taken.bytes += piece.length
  })
  request.on('end', () => {
    taken.requests += 1
    response.setHeader('content-type', request.headers['content-type'] ?? 'application/json')
    response.end(request.headers['content-type'] === 'application/json' ? '{}' : '')
  })
}).listen(PORT, () => console.log(`OTLP over HTTP on ${PORT}`))
process.once('SIGTERM', () => process.exit(0))
