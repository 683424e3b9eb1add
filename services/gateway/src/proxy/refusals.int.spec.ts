import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { GatewayBench, tokenOf } from '../testing/bench.ts'
import { raw, statusesOf } from '../testing/raw.ts'

/** What reached the replica. */
const seen: string[] = []
let it: GatewayBench
const auth = `authorization: Bearer ${tokenOf('a')}`

beforeAll(async () => {
  it = await new GatewayBench().start()
  await it.replica((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    request.resume()
    request.on('end', () => response.end('ok'))
  })
})
afterAll(() => it.close())
beforeEach(() => {
  seen.length = 0
})

const head = (...lines: string[]) => [...lines, '', ''].join('\r\n')

/** The body of the one answer in a conversation. */
function bodyOf(text: string): unknown {
  const [, body = ''] = text.split('\r\n\r\n', 2)
  return JSON.parse(body)
}

const refusal = (code: number, reason: string) => ({
  error: {
    code,
    status: expect.any(String),
    message: expect.stringContaining(reason),
    details: [expect.objectContaining({ reason, domain: 'serverlessai.dev' })],
  },
})

describe('a request without a host', () => {
  test('is refused like any other head that is malformed', async () => {
    const bytes = head('GET /services/a/echo/ HTTP/1.1', auth)
    // The end is the gateway's: this caller would wait on.
    const answer = await raw(it.port, bytes, { quietMs: 60_000 })
    expect(statusesOf(answer)).toEqual([400])
    expect(bodyOf(answer)).toEqual(refusal(400, 'HEADER_INVALID'))
    expect(answer.toLowerCase()).toContain('\r\ncontent-type: application/json\r\n')
    expect(seen).toEqual([])
  })

  test('gets the form of OpenAI on its paths', async () => {
    const answer = await raw(it.port, head('GET /v1/models HTTP/1.1', auth))
    expect(statusesOf(answer)).toEqual([400])
    expect(bodyOf(answer)).toMatchObject({ error: { code: 'HEADER_INVALID' } })
  })

  test('is taken where the host is said to be none, and from HTTP/1.0', async () => {
    for (const lines of [
      ['GET /services/a/echo/x HTTP/1.1', 'host:'],
      ['GET /services/a/echo/x HTTP/1.0'],
    ]) {
      const answer = await raw(it.port, head(...lines, auth))
      expect(statusesOf(answer), lines.join()).toEqual([200])
    }
    expect(seen).toEqual(['GET /x', 'GET /x'])
  })
})

describe('CONNECT', () => {
  const targets = ['a:80', '/services/a/echo/', 'http://a/', '']
  test.each(targets)('to "%s" is refused, and the connection is over', async (target) => {
    const bytes = head(`CONNECT ${target} HTTP/1.1`, 'host: a:80', auth)
    // The parser has nothing to do with what follows; nor has anybody else.
    const hidden = head('GET /services/a/echo/hidden HTTP/1.1', 'host: x', auth)
    const answer = await raw(it.port, `${bytes}${hidden}`, { quietMs: 60_000 })
    expect(statusesOf(answer)).toEqual([405])
    expect(bodyOf(answer)).toEqual(refusal(405, 'METHOD_NOT_ALLOWED'))
    expect(answer.toLowerCase()).toContain('\r\nconnection: close\r\n')
    expect(seen).toEqual([])
  })

  test('over HTTP/2 is refused with a code', async () => {
    const session = connectHttp2(it.url)
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'a:80' })
    let body = ''
    let status = 0
    stream.on('response', (answer) => {
      status = Number(answer[':status'])
    })
    stream.on('data', (piece) => {
      body += String(piece)
    })
    await new Promise((resolve) => stream.on('end', resolve))
    session.destroy()
    expect([status, JSON.parse(body)]).toEqual([405, refusal(405, 'METHOD_NOT_ALLOWED')])
  })
})

test('a caller that keeps its end open after a refusal does not keep the connection', async () => {
  for (const first of ['CONNECT a:80 HTTP/1.1', 'G(T / HTTP/1.1']) {
    const socket = connect({ port: it.port, host: '127.0.0.1', allowHalfOpen: true })
    socket.on('error', () => undefined)
    socket.write(head(first, 'host: x'))
    await new Promise((resolve) => socket.once('data', resolve))
    await expect.poll(() => it.gateway.connections, { timeout: 15_000 }).toBe(0)
    socket.destroy()
  }
}, 40_000)
