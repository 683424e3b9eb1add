import { createServer } from 'node:http'
import { ListenError } from '@serverless-ai/hosting'

/** An HTTP server that is listening. */
export interface HealthServer {
  close(): void
}

/**
 * `/livez` and `/readyz` of the whole platform. `missing` says what is not as it should be.
 * @throws ListenError
 */
export function serveHealth(init: {
  host: string
  port: number
  missing: () => Promise<readonly string[]>
}): Promise<HealthServer> {
  const { host, port } = init
  const server = createServer((request, response) => {
    const answer = (status: number, content: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(content))
    }
    if (request.url === '/livez') return answer(200, { alive: true })
    if (request.url !== '/readyz') return answer(404, { known: ['/livez', '/readyz'] })
    init.missing().then(
      (missing) =>
        missing.length === 0
          ? answer(200, { ready: true })
          : answer(503, { ready: false, missing }),
      (error: unknown) => answer(500, { ready: false, missing: [String(error)] }),
    )
  })
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const what = `cannot listen on ${host}:${port} (health of the platform on ${port - 1})`
      reject(new ListenError(`${what}: ${error.message}; choose other ports with --port`))
    })
    server.listen(port, host, () => {
      const close = (): void => {
        server.close()
        server.closeAllConnections()
      }
      resolve({ close })
    })
  })
}
