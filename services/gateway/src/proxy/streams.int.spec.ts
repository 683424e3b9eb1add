import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Server as TcpServer } from 'node:net'
import type { Readable } from 'node:stream'
import { afterEach, expect, test } from 'vitest'
import { Outcome } from '../app/meter.ts'
import { GatewayBench, tokenOf } from '../testing/bench.ts'
import { raw, statusesOf } from '../testing/raw.ts'

const closing: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function bench(...args: ConstructorParameters<typeof GatewayBench>) {
  const it = await new GatewayBench(...args).start()
  closing.push(() => it.close())
  return it
}

/** A replica that answers each connection with bytes of its own. */
async function wild(answer: (socket: import('node:net').Socket) => void): Promise<string> {
  const server: TcpServer = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => answer(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => void server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

const AUTH = `authorization: Bearer ${tokenOf('a')}`
const GET = `GET /services/a/echo/ HTTP/1.1\r\nhost: x\r\n${AUTH}\r\n\r\n`
const LLM = { name: 'llm', protocol: 'openai' as const }
const ask = (it: GatewayBench, more: object = {}, tenant = 'a') => {
  const body = JSON.stringify({ model: 'llm', messages: [], stream: true, ...more })
  const headers = { 'content-type': 'application/json' }
  return it.fetch('/v1/chat/completions', { method: 'POST', body, headers }, tenant)
}
const chunk = (text: string) =>
  `data: ${JSON.stringify({ choices: [{ delta: { content: text } }] })}\n\n`
const HEAD =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n'
const piece = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`

test('an OpenAI stream passes as it comes, and is measured', async () => {
  const it = await bench()
  let go: (() => void) | undefined
  await it.replica((request, response) => {
    request.resume()
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(chunk('one'))
    go = () => {
      response.write(chunk('two'))
      response.write('data: {"usage":{"prompt_tokens":7,"completion_tokens":2}}\n\n')
      response.end('data: [DONE]\n\n')
    }
  }, LLM)
  const answer = await ask(it)
  const reader = answer.body!.getReader()
  const first = await reader.read()
  // The second token does not exist yet: nothing held the first one up.
  expect(Buffer.from(first.value!).toString()).toBe(chunk('one'))
  go?.()
  let rest = ''
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    rest += Buffer.from(next.value).toString()
  }
  expect(rest).toContain('[DONE]')
  await it.ended(1)
  expect(it.measured[0]).toMatchObject({ outcome: Outcome.OK, inputTokens: 7, outputTokens: 2 })
  const { arrivedMs, givenMs, firstTokenMs, lastTokenMs, endedMs } = it.measured[0]!
  const times = [arrivedMs, givenMs!, firstTokenMs!, lastTokenMs!, endedMs]
  expect(times).toEqual(times.toSorted((a, b) => a - b))
})

test('models are the services that the caller may use', async () => {
  const it = await bench({ shared: ['b/common'] })
  it.service(LLM)
  it.service({ ...LLM, tenant: 'b', name: 'common' })
  it.service({ ...LLM, tenant: 'b', name: 'secret' })
  const list = (await (await it.fetch('/v1/models')).json()) as { data: { id: string }[] }
  expect(list.data.map(({ id }) => id)).toEqual(['llm', 'b/common'])
  const answer = await ask(it, { model: 'b/secret' })
  expect(answer.status).toBe(404)
  expect(await answer.json()).toMatchObject({
    error: { type: 'invalid_request_error', code: 'SERVICE_NOT_FOUND' },
  })
})

test('a replica that dies in mid-stream: the stream ends with an error event', async () => {
  const it = await bench()
  const address = await wild((socket) => {
    socket.write(`${HEAD}${piece(chunk('one'))}`, () => socket.destroy())
  })
  it.route(address, LLM)
  const text = await (await ask(it)).text()
  const [first, error] = text.split('\n\n').filter((event) => event.includes('data:'))
  expect(first).toContain('one')
  expect(JSON.parse(error!.trim().slice('data: '.length))).toMatchObject({
    error: { code: 'REPLICA_BROKE_OFF', type: 'server_error' },
  })
  await it.ended(1)
  expect(it.measured[0]).toMatchObject({ outcome: Outcome.FAILED, reason: 'REPLICA_BROKE_OFF' })
})

test('a replica that hangs in mid-stream is cut after its silence', async () => {
  const it = await bench({ silenceMs: 600 })
  let left = false
  const address = await wild((socket) => {
    socket.write(`${HEAD}${piece(chunk('one'))}`)
    socket.once('close', () => {
      left = true
    })
  })
  it.route(address, LLM)
  const text = await (await ask(it)).text()
  expect(text).toContain('REPLICA_SILENT')
  await expect.poll(() => left).toBe(true)
})

test('a replica that never answers is given up, also one that took a body', async () => {
  const it = await bench({ headMs: 600 })
  it.route(await wild(() => undefined), LLM)
  const answer = await ask(it)
  expect(answer.status).toBe(504)
  expect(await answer.text()).toContain('REPLICA_SILENT')
  const upload = { method: 'POST', body: new Blob(['x'.repeat(100_000)]).stream(), duplex: 'half' }
  it.route(await wild((socket) => void socket.resume()), { name: 'takes' })
  const after = await it.fetch('/services/a/takes/', upload as RequestInit)
  expect(after.status).toBe(504)
  expect(await after.text()).toContain('REPLICA_SILENT')
})

test.each(['http1', 'http2'] as const)(
  'a body that is long under way to %s is not the silence of its replica',
  async (protocol) => {
    const it = await bench({ headMs: 500 })
    const read = (request: Readable, answer: () => void): void => {
      request.resume()
      request.on('end', answer)
    }
    if (protocol === 'http1') {
      await it.replica((request, response) => read(request, () => response.end('ok')))
    } else {
      const server = createHttp2Server()
      server.on('stream', (stream) =>
        read(stream, () => {
          stream.respond({ ':status': 200 })
          stream.end('ok')
        }),
      )
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      closing.push(() => void server.close())
      const { port } = server.address() as AddressInfo
      it.route(`127.0.0.1:${port}`, { protocol: 'http2' })
    }
    async function* slowly(): AsyncGenerator<Uint8Array> {
      for (let left = 6; left > 0; left -= 1) {
        yield Buffer.from('piece')
        await new Promise((resolve) => setTimeout(resolve, 250))
      }
    }
    const init = { method: 'POST', body: ReadableStream.from(slowly()), duplex: 'half' }
    const answer = await it.fetch('/services/a/echo/', init as RequestInit)
    expect([answer.status, await answer.text()]).toEqual([200, 'ok'])
  },
)

const wrong: readonly [string, string][] = [
  ['no HTTP', 'hello\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx'],
  [
    'length beside chunks',
    'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n',
  ],
  ['a header without a name', 'HTTP/1.1 200 OK\r\n: x\r\n\r\n'],
  ['a huge header', `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(100_000)}\r\n\r\n`],
]
test.each(wrong)('a replica that answers with %s: 502 and a code', async (_, bytes) => {
  const it = await bench()
  it.route(await wild((socket) => socket.end(bytes)), LLM)
  const answer = await ask(it)
  expect(answer.status).toBe(502)
  expect(await answer.text()).toMatch(/REPLICA_(WRONG|BROKE_OFF)/)
})

test('an answer that is shorter than it said is not taken for whole', async () => {
  const it = await bench()
  const bytes = 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort'
  it.route(await wild((socket) => socket.end(bytes)))
  const answer = await it.fetch('/services/a/echo/')
  await expect(answer.text()).rejects.toThrow()
})

test('what a replica says about its connection stays there', async () => {
  const it = await bench()
  const bytes =
    'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close, x-hop\r\n' +
    'x-hop: 1\r\nx-end: 1\r\n\r\nok'
  it.route(await wild((socket) => socket.end(bytes)))
  const answer = await raw(it.port, GET.repeat(2))
  expect(statusesOf(answer)).toEqual([200, 200])
  expect(answer).toContain('x-end')
  expect(answer).not.toContain('x-hop')
})

test('a slow caller holds the replica back within bounds, and is left at last', async () => {
  const it = await bench({ callerStallMs: 500 })
  let written = 0
  let left = false
  await it.replica((_, response) => {
    response.on('close', () => {
      left = true
    })
    const more = (): void => {
      while (written < 1e9 && !response.destroyed) {
        written += 65_536
        if (!response.write(Buffer.alloc(65_536))) break
      }
    }
    response.on('drain', more)
    more()
  })
  const socket = connect(it.port, '127.0.0.1', () => socket.write(GET))
  socket.pause()
  socket.on('error', () => undefined)
  await it.ended(1)
  expect(it.measured[0]).toMatchObject({ reason: 'CALLER_TOO_SLOW' })
  await expect.poll(() => left).toBe(true)
  // What the sockets of the system hold, and no more.
  expect(written).toBeLessThan(64e6)
  socket.destroy()
})

test('a caller that stops sending gives its place back; nobody else is blamed', async () => {
  const it = await bench({ callerStallMs: 300 })
  await it.replica(
    (request, response) => {
      request.resume()
      request.on('end', () => response.end('ok'))
    },
    { concurrency: 1 },
  )
  const head = GET.replace('GET', 'POST').replace(
    '\r\n\r\n',
    '\r\ntransfer-encoding: chunked\r\n\r\n',
  )
  const stalled = raw(it.port, `${head}3\r\nabc\r\n`, { quietMs: 2_000 })
  await expect.poll(() => it.gateway.requests).toBe(1)
  const other = await it.fetch('/services/a/echo/')
  expect(other.status).toBe(200)
  expect(await stalled).toContain('CALLER_TOO_SLOW')
  await it.ended(2)
  const reasons = it.measured.map(({ reason, outcome }) => [reason, outcome])
  expect(reasons).toContainEqual(['CALLER_TOO_SLOW', Outcome.CALLER_ERROR])
})

test('sessions go to the same replica, others are spread', async () => {
  const it = await bench()
  for (let n = 0; n < 4; n += 1) {
    const made = await it.replica((_, response) => response.end(String(made.gang)), {
      sessions: true,
    })
  }
  const replicaOf = async (session: string) => {
    const answer = await it.fetch('/services/a/echo/', { headers: { 'x-sai-session': session } })
    return answer.text()
  }
  for (const session of ['x', 'y', 'z']) {
    const found = await Promise.all([replicaOf(session), replicaOf(session), replicaOf(session)])
    expect(new Set(found).size).toBe(1)
  }
  const spread = new Set<string>()
  for (let n = 0; n < 8; n += 1) spread.add(await replicaOf(''))
  expect(spread.size).toBe(4)
})

/** A gRPC-like service: echoes its messages, with a status at the end. */
async function grpcReplica(): Promise<string> {
  const server = createHttp2Server()
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined)
    if (headers[':path'] === '/x.Y/Refuse') {
      const head = { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5' }
      stream.respond(head, { endStream: true })
      return
    }
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc' },
      { waitForTrailers: true },
    )
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'x-end': 'yes' }))
    stream.pipe(stream)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => void server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

function call(it: GatewayBench, path: string, messages: readonly string[]) {
  const session = connectHttp2(it.url)
  closing.push(() => session.destroy())
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    authorization: `Bearer ${tokenOf('a')}`,
  })
  return new Promise<{ text: string; trailers: Record<string, unknown> }>((resolve, reject) => {
    let text = ''
    stream.on('response', () => {
      // Both directions at once: the answer has begun before the request is over.
      for (const message of messages) stream.write(message)
      stream.end()
    })
    stream.on('data', (data) => {
      text += String(data)
    })
    stream.on('trailers', (trailers) => resolve({ text, trailers }))
    stream.on('error', reject)
    if (messages.length === 0) stream.end()
  })
}

test('gRPC passes in both directions at once, with its status', async () => {
  const it = await bench()
  it.route(await grpcReplica(), { name: 'rpc', protocol: 'grpc' })
  const { text, trailers } = await call(it, '/services/a/rpc/x.Y/Echo', ['one ', 'two'])
  expect(text).toBe('one two')
  expect(trailers).toMatchObject({ 'grpc-status': '0', 'x-end': 'yes' })
  const refused = await call(it, '/services/a/rpc/x.Y/Refuse', [])
  expect(refused.trailers).toMatchObject({ 'grpc-status': '5' })
  const none = await call(it, '/services/a/none/x.Y/Echo', [])
  expect(none.trailers).toMatchObject({ 'grpc-status': '5' })
  expect(decodeURIComponent(String(none.trailers['grpc-message']))).toContain('SERVICE_NOT_FOUND')
})

test('a gRPC replica that is gone: the call waits and goes to the next', async () => {
  const it = await bench()
  const gone = it.route('127.0.0.1:1', { name: 'rpc', protocol: 'grpc' })
  const answer = call(it, '/services/a/rpc/x.Y/Echo', ['x'])
  it.route(await grpcReplica(), { name: 'rpc', protocol: 'grpc' })
  expect((await answer).trailers).toMatchObject({ 'grpc-status': '0' })
  await it.ended(1)
  expect(it.measured[0]?.gang).not.toBe(gone.gang)
})

test('the end of the gateway: a request whose body is still coming is answered', async () => {
  const it = await bench()
  await it.replica((request, response) => void request.pipe(response))
  const head = GET.replace('GET', 'POST').replace('\r\n\r\n', '\r\ncontent-length: 3\r\n\r\n')
  let text = ''
  const socket = connect(it.port, '127.0.0.1', () => socket.write(`${head}a`))
  socket.on('data', (piece) => {
    text += piece.toString()
  })
  await expect.poll(() => it.gateway.bufferedBytes).toBe(1)
  const stopped = it.gateway.stop(5_000)
  setTimeout(() => socket.write('bc'), 100)
  await stopped
  await expect.poll(() => text).toMatch(/^HTTP\/1.1 200 .*abc/s)
})

test('the end of the gateway: running requests end, new ones are refused', async () => {
  const it = await bench()
  let finish: (() => void) | undefined
  await it.replica((_, response) => {
    response.write('begun ')
    finish = () => response.end('ended')
  })
  const running = await it.fetch('/services/a/echo/')
  const stopped = it.gateway.stop(5_000)
  finish?.()
  expect(await running.text()).toBe('begun ended')
  await stopped
  await expect(it.fetch('/services/a/echo/')).rejects.toThrow()
})
