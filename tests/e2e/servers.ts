import { stringify } from 'yaml'

/** A server for tests. */
export interface Server {
  /** What it answers, after 20 ms. */
  readonly version: string
  /** It answers its probe with 503 for ever. */
  readonly neverReady?: boolean
  readonly startupDeadline?: string
}

/** Answers with its version after 20 ms; ends what it has at SIGTERM. */
const PROGRAM = `
const { VERSION, NEVER_READY, PORT } = process.env
const server = require('http').createServer((request, response) => {
  request.resume()
  if (request.url === '/healthz') {
    response.statusCode = NEVER_READY === '1' ? 503 : 200
    response.end()
  } else setTimeout(() => response.end(VERSION), 20)
})
server.listen(Number(PORT))
process.on('SIGTERM', () => { server.close(() => process.exit(0)); server.closeIdleConnections() })
`

/** The description of a service that runs it. */
export function description(
  init: Server & {
    readonly name: string
    readonly replicas: { readonly min: number; readonly max: number; readonly initial?: number }
    readonly concurrency?: number
    /** Time of a replica that goes for what it has. */
    readonly drain?: string
    /** Between SIGTERM and SIGKILL. */
    readonly stopGracePeriod?: string
  },
): string {
  const { name, replicas, version, neverReady = false, startupDeadline = '60s' } = init
  const { concurrency = 8, drain = '1s', stopGracePeriod = '3s' } = init
  const readiness = { httpGet: '/healthz', period: '100ms', startupDeadline }
  return stringify({
    apiVersion: 'serverlessai.job/v1',
    kind: 'Job',
    metadata: { name },
    spec: {
      type: 'Inference',
      queue: 'team-a',
      command: [process.execPath, '-e', PROGRAM],
      env: { VERSION: version, NEVER_READY: neverReady ? '1' : '0' },
      resources: { devices: 1, cpu: '100m', memory: '128Mi' },
      replicas,
      stopGracePeriod,
      serve: { concurrency, drain, readiness },
    },
  })
}
