import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect as connectHttp2, constants } from 'node:http2'
import { connect } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { GatewayBench, tokenOf } from '../testing/bench.ts'
import { raw, statusesOf } from '../testing/raw.ts'

/** What reached the replica. */
const seen: string[] = []
/** Header lines that came with it. */
let lines = ''
let it: GatewayBench
const auth = `authorization: Bearer ${tokenOf('a')}`

beforeAll(async () => {
  it = await new GatewayBench({ bodyMaxBytes: 100_000, jsonMaxBytes: 20_000 }).start()
  const note = (request: IncomingMessage, response: ServerResponse) => {
    seen.push(`${request.method} ${request.url}`)
    lines += request.rawHeaders.join('\n')
    request.resume()
    request.on('end', () => response.end('ok'))
  }
  await it.replica(note)
  await it.replica(note, { name: 'llm', protocol: 'openai' })
})
afterAll(() => it.close())
beforeEach(() => {
  seen.length = 0
  lines = ''
})

const get = (target: string, ...lines: string[]) =>
  [`GET ${target} HTTP/1.1`, 'host: x', auth, ...lines, '', ''].join('\r\n')
const post = (lines: readonly string[], body: string, target = '/services/a/echo/') =>
  [`POST ${target} HTTP/1.1`, 'host: x', auth, ...lines, '', body].join('\r\n')
/** What a smuggler wants the replica to take for a request. */
const HIDDEN = 'GET /services/a/echo/hidden HTTP/1.1\r\nhost: x\r\n\r\n'

const smuggling: readonly [name: string, bytes: string][] = [
  [
    'content-length beside transfer-encoding',
    post(['content-length: 5', 'transfer-encoding: chunked'], `0\r\n\r\n${HIDDEN}`),
  ],
  ['two content-length that differ', post(['content-length: 3', 'content-length: 60'], HIDDEN)],
  ['two content-length that agree', post(['content-length: 3', 'content-length: 3'], 'abc')],
  ['a list as content-length', post(['content-length: 3, 60'], HIDDEN)],
  ['a signed content-length', post(['content-length: +3'], 'abc')],
  ['a hexadecimal content-length', post(['content-length: 0x3'], 'abc')],
  ['chunked that is not the last', post(['transfer-encoding: chunked, identity'], '0\r\n\r\n')],
  ['chunked under another name', post(['transfer-encoding: xchunked'], `0\r\n\r\n${HIDDEN}`)],
  ['chunked after a tab', post(['transfer-encoding:\tchunked\x0b'], `0\r\n\r\n${HIDDEN}`)],
  [
    'two transfer-encoding',
    post(['transfer-encoding: chunked', 'transfer-encoding: identity'], '0\r\n\r\n'),
  ],
  ['a space before the colon', post(['content-length : 3'], 'abc')],
  ['a folded header', post(['x-a: 1', ' content-length: 60', 'content-length: 3'], 'abc')],
  ['a bare LF after a header', post(['x-a: 1\ncontent-length: 60', 'content-length: 3'], 'abc')],
  ['a bare CR in a header', post(['x-a: 1\rcontent-length: 60', 'content-length: 3'], 'abc')],
  ['a NUL in a header', post(['x-a: 1\0', 'content-length: 3'], 'abc')],
  ['bare LF alone', `GET /services/a/echo/ HTTP/1.1\nhost: x\n${auth}\n\n`],
  ['two hosts', get('/services/a/echo/', 'host: y')],
  ['no host', `GET /services/a/echo/ HTTP/1.1\r\n${auth}\r\n\r\n`],
  ['a space in the target', get('/services/a/echo/x y')],
  ['a version that is none', `GET /services/a/echo/ HTTP/1.9\r\nhost: x\r\n${auth}\r\n\r\n`],
  ['a method that is none', `G(T /services/a/echo/ HTTP/1.1\r\nhost: x\r\n${auth}\r\n\r\n`],
  ['no HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
]

test.each(smuggling)('smuggling by %s: refused, and the connection is over', async (_, bytes) => {
  const statuses = statusesOf(await raw(it.port, bytes))
  expect(statuses.length).toBeLessThanOrEqual(1)
  expect(statuses.filter((status) => status < 400)).toEqual([])
  expect(seen).toEqual([])
})

test('a chunk whose size lies ends the connection; nothing behind it is a request', async () => {
  const sizes = ['5;x\nGET', '-1', '5 5', 'ffffffffffffffff', '5\n']
  for (const size of sizes) {
    const bytes = post(['transfer-encoding: chunked'], `${size}\r\nhello\r\n0\r\n\r\n${HIDDEN}`)
    const statuses = statusesOf(await raw(it.port, bytes))
    expect(
      statuses.filter((status) => status < 400),
      size,
    ).toEqual([])
  }
  expect(seen.filter((line) => line.includes('hidden'))).toEqual([])
})

test('what is sent after a refused body is no request', async () => {
  const bytes = post(['content-length: 200000'], `${'x'.repeat(1_000)}${HIDDEN}`)
  expect(statusesOf(await raw(it.port, bytes))).toEqual([413])
  expect(seen).toEqual([])
})

const paths = [
  '/services/a/echo/../../b/secret/',
  '/services/a/echo/%2e%2e/x',
  '/services/a/echo/%2E./x',
  '/services/a/echo/..;/x',
  '/services/a/echo/x%2fy',
  '/services/a/echo/x%5cy',
  '/services/a/echo\\..\\x',
  '/services/a/echo/%00',
  '/services/a/echo/%0d%0aset-cookie:x',
  '/services/a/echo/%zz',
  '/services/../services/a/echo/',
  '//services/a/echo/',
  'http://x/services/a/echo/',
  '*',
  '/services/a/echo/#x',
  `/services/a/echo/${'x'.repeat(9_000)}`,
]
test.each(paths)('the target %s is refused', async (target) => {
  const answer = await raw(it.port, get(target))
  expect(statusesOf(answer)).toEqual([400])
  expect(answer).toContain('TARGET_INVALID')
  expect(seen).toEqual([])
})

test.each([
  ['TARGET_INVALID', get('/services/a/echo/%2e%2e/x')],
  ['HEADER_INVALID', get('/services/a/echo/', 'host: y')],
  ['TOO_MANY_HEADERS', get('/services/a/echo/', ...Array(120).fill('x-a: 1'))],
])('a connection with a head that is %s ends with its answer', async (code, bytes) => {
  // The end is the gateway's: this caller would wait on.
  const answer = await raw(it.port, bytes, { quietMs: 60_000 })
  expect(answer).toContain(code)
  expect(answer.toLowerCase()).toContain('\r\nconnection: close\r\n')
})

test('oversized and too many headers are refused with 431', async () => {
  const large = await raw(it.port, get('/services/a/echo/', `x-a: ${'x'.repeat(20_000)}`))
  expect(statusesOf(large)).toEqual([431])
  const lines = Array.from({ length: 120 }, (_, n) => `x-${n}: 1`)
  const many = await raw(it.port, get('/services/a/echo/', ...lines))
  expect(statusesOf(many)).toEqual([431])
  expect(many).toContain('TOO_MANY_HEADERS')
  expect(seen).toEqual([])
})

test('a body over the limit is refused, said or not said', async () => {
  const said = await raw(it.port, post(['content-length: 100001'], 'x'))
  expect(statusesOf(said)).toEqual([413])
  const chunk = `${(50_000).toString(16)}\r\n${'x'.repeat(50_000)}\r\n`
  const unsaid = post(['transfer-encoding: chunked'], `${chunk.repeat(3)}0\r\n\r\n`)
  expect(statusesOf(await raw(it.port, unsaid))).toEqual([413])
  const model = post(['transfer-encoding: chunked'], `${chunk}0\r\n\r\n`, '/v1/completions')
  expect(statusesOf(await raw(it.port, model))).toEqual([413])
})

test('other methods, classes, times and bodies are refused with their codes', async () => {
  const json = ['content-length: 2']
  const cases: readonly [string, number, string][] = [
    [get('/services/a/echo/').replace('GET', 'TRACE'), 405, 'METHOD_NOT_ALLOWED'],
    [get('/services/a/echo/', 'x-sai-class: vip'), 400, 'CLASS_UNKNOWN'],
    [get('/services/a/echo/', 'x-sai-timeout-ms: -1'), 400, 'TIMEOUT_INVALID'],
    [get('/services/a/echo/', 'grpc-timeout: 9e9S'), 400, 'TIMEOUT_INVALID'],
    [get('/v1/chat/completions'), 405, 'METHOD_NOT_ALLOWED'],
    [post(json, '[]', '/v1/completions'), 400, 'MODEL_REQUIRED'],
    [post(json, '{}', '/v1/completions'), 400, 'MODEL_REQUIRED'],
    [post(json, '{x', '/v1/completions'), 400, 'MODEL_REQUIRED'],
  ]
  for (const [bytes, status, reason] of cases) {
    const answer = await raw(it.port, bytes)
    expect([statusesOf(answer), answer]).toEqual([[status], expect.stringContaining(reason)])
  }
  expect(seen).toEqual([])
})

test('a caller that is slow with its head is told and left', async () => {
  const quick = await new GatewayBench({ callerHeadMs: 200 }).start()
  const head = 'GET /services/a/echo/ HTTP/1.1\r\nhost: x\r\n'
  expect(statusesOf(await raw(quick.port, head, { quietMs: 20_000 }))).toEqual([408])
  await quick.close()
})

test('pipelined requests are answered in order', async () => {
  const answer = await raw(it.port, `${get('/services/a/echo/1')}${get('/services/a/echo/2')}`)
  expect(statusesOf(answer)).toEqual([200, 200])
  expect(seen).toEqual(['GET /1', 'GET /2'])
})

test('a name with an underscore does not pass for another', async () => {
  let headers: IncomingMessage['headers'] = {}
  await it.replica(
    (request, response) => {
      headers = request.headers
      response.end()
    },
    { name: 'headers' },
  )
  await raw(it.port, get('/services/a/headers/', 'x_sai_tenant: b', 'x-sai-tenant: b'))
  expect(headers).not.toHaveProperty('x_sai_tenant')
  expect(headers['x-sai-tenant']).toBe('a')
})

/** One HTTP/2 request; answers its status, or the code of its reset. */
function http2(headers: Record<string, string>): Promise<number | string> {
  const session = connectHttp2(it.url)
  return new Promise<number | string>((resolve) => {
    session.on('error', () => resolve('session'))
    const stream = session.request({ authorization: `Bearer ${tokenOf('a')}`, ...headers })
    stream.on('response', (answer) => resolve(Number(answer[':status'])))
    stream.on('error', () => resolve('stream'))
    stream.on('close', () => resolve(`reset ${stream.rstCode}`))
    stream.end()
  }).finally(() => session.destroy())
}

test('HTTP/2 without TLS works, and its pseudo-headers are checked', async () => {
  expect(await http2({ ':path': '/services/a/echo/ok' })).toBe(200)
  expect(seen).toEqual(['GET /ok'])
  seen.length = 0
  expect(await http2({ ':path': '/services/a/echo/../x' })).toBe(400)
  expect(await http2({ ':path': '*', ':method': 'OPTIONS' })).toBe(400)
  expect(await http2({ ':path': '/services/a/echo/', ':method': 'TRACE' })).toBe(405)
  expect(seen).toEqual([])
})

/** A frame of HTTP/2: RFC 9113, 4.1. */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** A header as a literal without indexing: RFC 7541, 6.2.2. */
function literal(name: string, value: string): Buffer {
  const text = (each: string) =>
    Buffer.concat([Buffer.from([Buffer.byteLength(each)]), Buffer.from(each, 'latin1')])
  return Buffer.concat([Buffer.from([0]), text(name), text(value)])
}

const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  frame(4, 0, 0, Buffer.alloc(0)),
])
const HEAD: readonly (readonly [string, string])[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'x'],
  [':path', '/services/a/echo/h2'],
  ['authorization', `Bearer ${tokenOf('a')}`],
]
const headFrame = (head: readonly (readonly [string, string])[], stream = 1) =>
  frame(1, 0x5, stream, Buffer.concat(head.map(([name, value]) => literal(name, value))))

test('a well-formed raw HTTP/2 request is answered: the next test can fail', async () => {
  await raw(it.port, Buffer.concat([PREFACE, headFrame(HEAD)]))
  expect(seen).toEqual(['GET /h2'])
})

const abuses: readonly [string, readonly (readonly [string, string])[]][] = [
  ['two paths', [...HEAD, [':path', '/x']]],
  ['a pseudo-header after others', [...HEAD.slice(0, 3), HEAD[4]!, HEAD[3]!]],
  ['a pseudo-header that is none', [...HEAD.slice(0, 4), [':x', '1']]],
  ['no method', HEAD.slice(1)],
  ['no path', HEAD.filter(([name]) => name !== ':path')],
  ['an empty path', HEAD.map(([n, v]) => [n, n === ':path' ? '' : v] as const)],
  ['a header of a connection', [...HEAD, ['connection', 'x']]],
  ['transfer-encoding', [...HEAD, ['transfer-encoding', 'chunked']]],
  ['a name with capitals', [...HEAD, ['X-A', '1']]],
  ['another host than its authority', [...HEAD, ['host', 'other']]],
  ['a line break in the path', HEAD.map(([n, v]) => [n, n === ':path' ? `${v}\r\n` : v] as const)],
  ['a content-length that lies', [...HEAD, ['content-length', '5']]],
]
test.each(abuses)('HTTP/2 with %s does not reach a replica', async (_, head) => {
  await raw(it.port, Buffer.concat([PREFACE, headFrame(head)]))
  expect(seen).toEqual([])
})

const breaks: readonly (readonly [string, string])[] = [
  ['x-a', '1\r\nx-b: 2'],
  ['x-a', '1\nx-b: 2'],
  ['x-a\r\nx-b', '1'],
  ['x-a', '1\0x-b'],
]
test.each(breaks)('a line break in an HTTP/2 header becomes no header line: %j', async (...one) => {
  await raw(it.port, Buffer.concat([PREFACE, headFrame([...HEAD, one])]))
  expect(lines).not.toContain('x-a')
  expect(lines).not.toContain('x-b')
})

test('a flood of streams that are reset at once ends the connection, not the gateway', async () => {
  const pieces: Buffer[] = [PREFACE]
  const cancel = Buffer.alloc(4)
  cancel.writeUInt32BE(constants.NGHTTP2_CANCEL)
  for (let stream = 1; stream < 20_000; stream += 2) {
    pieces.push(headFrame(HEAD, stream), frame(3, 0, stream, cancel))
  }
  await raw(it.port, Buffer.concat(pieces), { quietMs: 1_000 })
  const answer = await it.fetch('/services/a/echo/after')
  expect(answer.status).toBe(200)
})

test('connections beyond the limit are closed; those that are open go on', async () => {
  const small = await new GatewayBench({ connectionsMax: 3 }).start()
  const sockets = Array.from({ length: 3 }, () => connect(small.port, '127.0.0.1'))
  await expect.poll(() => small.gateway.connections).toBe(3)
  expect(await raw(small.port, get('/services/a/echo/'))).toBe('')
  expect(small.gateway.connections).toBe(3)
  for (const socket of sockets) socket.destroy()
  await small.close()
})

/** Sends pieces with a pause between, and answers what came back within a moment of the last. */
function inPieces(pieces: readonly (string | Buffer)[]): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const got: Buffer[] = []
  const socket = connect(it.port, '127.0.0.1')
  socket.on('data', (piece: Buffer) => got.push(piece))
  socket.on('error', reject)
  const send = (index: number): void => {
    const piece = pieces[index]
    if (piece === undefined) {
      socket.destroy()
      resolve(Buffer.concat(got))
      return
    }
    socket.write(piece)
    setTimeout(() => send(index + 1), 100)
  }
  send(0)
  return promise
}

test('a request whose first bytes come alone is answered, and nobody waits for them', async () => {
  const rest = post(['content-length: 3'], 'abc').slice(1)
  const [whole, other] = await Promise.all([
    inPieces(['P', rest, '', '']),
    inPieces([get('/services/a/echo/'), '', '']),
  ])
  expect([whole, other].flatMap((bytes) => statusesOf(bytes.toString()))).toEqual([200, 200])
  expect(seen.toSorted()).toEqual(['GET /', 'POST /'])
})

test('HTTP/2 whose preface comes in pieces is told', async () => {
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])
  const answer = await inPieces(['P', 'RI * HTT', 'P/2.0\r\n\r\nSM\r\n\r\n', settings, ''])
  // The first frame of the server: its settings.
  expect(answer[3]).toBe(4)
})

test('what no parser takes never gets into an answer that has begun', async () => {
  const slow = await new GatewayBench().start()
  await slow.replica((_, response) => void response.write('begun'))
  const { promise, resolve } = Promise.withResolvers<void>()
  let text = ''
  const socket = connect(slow.port, '127.0.0.1', () => socket.write(get('/services/a/echo/')))
  socket.on('data', (piece) => {
    text += piece.toString()
    if (text.includes('begun')) socket.write('no HTTP at all\r\n\r\n')
  })
  socket.on('close', () => resolve())
  socket.on('error', () => undefined)
  await promise
  expect(statusesOf(text)).toEqual([200])
  await slow.close()
})
