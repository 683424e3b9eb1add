import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Model, PIXEL_MAX, PIXELS, predict } from './model.ts'

/** Largest body that is read, bytes. */
const BODY_MAX_BYTES = 64 * 1024
/** A caller that takes longer to send its request is not waited for, ms. */
const REQUEST_TIMEOUT_MS = 30_000

/** A server that answers for a model. */
export interface PredictServer {
  readonly port: number
  /** Takes no new connections, and resolves when the requests it has are answered. */
  close(): Promise<void>
}

/** A request that cannot be answered: the caller's mistake. */
class BadRequest extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/**
 * Listens for requests: `GET /healthz` (ready as soon as it listens) and `POST /predict`.
 * @param options.latencyMs each prediction takes at least so long, as that of a larger model would
 */
export async function createPredictServer(
  model: Model,
  options: { readonly host?: string; readonly port: number; readonly latencyMs: number },
): Promise<PredictServer> {
  let closing = false
  const server = createServer((request, response) => {
    void answer(request, model, options.latencyMs).then(
      (body) => send(response, { status: 200, body, last: closing }),
      (error: unknown) => {
        const status = error instanceof BadRequest ? error.status : 500
        const message = error instanceof Error ? error.message : String(error)
        send(response, { status, body: { error: message }, last: closing || status === 413 })
      },
    )
  })
  server.requestTimeout = REQUEST_TIMEOUT_MS
  const { host = '0.0.0.0', port } = options
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  const address = server.address() as AddressInfo
  return {
    port: address.port,
    close: () => {
      closing = true
      return new Promise((resolve) => {
        server.close(() => resolve())
        server.closeIdleConnections()
      })
    },
  }
}

function send(
  response: ServerResponse,
  { status, body, last }: { status: number; body: object; last: boolean },
): void {
  const text = `${JSON.stringify(body)}\n`
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...(last ? { connection: 'close' } : {}),
  })
  response.end(text)
}

async function answer(request: IncomingMessage, model: Model, latencyMs: number): Promise<object> {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost')
  if (pathname === '/healthz') {
    if (request.method !== 'GET') throw new BadRequest(405, 'GET /healthz')
    return { status: 'ready', step: model.step }
  }
  if (pathname !== '/predict') throw new BadRequest(404, `no ${pathname} here: POST /predict`)
  if (request.method !== 'POST') throw new BadRequest(405, 'POST /predict')
  const pixels = pixelsOf(await textOf(request))
  if (latencyMs > 0) await sleep(latencyMs)
  return { ...predict(model, pixels), step: model.step }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of request) {
    bytes += piece.length
    if (bytes > BODY_MAX_BYTES) throw new BadRequest(413, `at most ${BODY_MAX_BYTES} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}

function pixelsOf(text: string): readonly number[] {
  const wanted = `{"pixels":[…]}: ${PIXELS} numbers from 0 to ${PIXEL_MAX}`
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new BadRequest(400, `the body is not JSON; it must be ${wanted}`)
  }
  const pixels = typeof value === 'object' && value !== null && 'pixels' in value && value.pixels
  const good =
    Array.isArray(pixels) &&
    pixels.length === PIXELS &&
    pixels.every((pixel) => typeof pixel === 'number' && pixel >= 0 && pixel <= PIXEL_MAX)
  if (!good) throw new BadRequest(400, `the body must be ${wanted}`)
  return pixels
}
