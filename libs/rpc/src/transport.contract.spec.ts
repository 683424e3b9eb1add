import {
  type Logger,
  type Principal,
  RpcError,
  type Transport,
  type TransportServer,
} from '@serverless-ai/kernel'
import { systemClock, systemTimers } from '@serverless-ai/kernel/system'
import { afterEach, describe, expect, it } from 'vitest'
import type { AccessTable } from './access.ts'
import { staticTokens } from './auth.ts'
import { rpcError } from './error-table.ts'
import { createGrpcTransport } from './grpc-client.ts'
import { createGrpcServer } from './grpc-server.ts'
import { memoryNetwork } from './memory.ts'
import type { RpcServerOptions } from './server-options.ts'

type Text = { readonly text: string }

const encode = (value: Text) => Buffer.from(JSON.stringify(value))
const decode = (bytes: Uint8Array): Text => JSON.parse(Buffer.from(bytes).toString())

function method<const Q extends boolean, const P extends boolean>(
  name: string,
  requestStream: Q,
  responseStream: P,
) {
  return {
    path: `/test.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: encode,
    requestDeserialize: decode,
    responseSerialize: encode,
    responseDeserialize: decode,
  }
}

const Echo = {
  say: method('Say', false, false),
  list: method('List', false, true),
  join: method('Join', true, false),
  chat: method('Chat', true, true),
  secret: method('Secret', false, false),
}

const access: AccessTable = {
  '/test.Echo/Say': ['tenant', 'admin'],
  '/test.Echo/List': ['tenant'],
  '/test.Echo/Join': ['tenant'],
  '/test.Echo/Chat': ['tenant'],
  '/test.Echo/Secret': ['admin'],
}

const principal: Principal = { subject: 'token:a', tenant: 'a', roles: ['tenant'] }
const authenticate = staticTokens([{ token: 'token-a', principal }])

type LogLine = { readonly message: string; readonly fields: unknown }

function recordingLogger(lines: LogLine[]): Logger {
  const logger: Logger = {
    log: (_level, message, fields) => void lines.push({ message, fields }),
    child: () => logger,
  }
  return logger
}

/** An error with far more to say than trailers may carry. */
function flood(): RpcError {
  const long = 'é'.repeat(50_000)
  const violations = Array.from({ length: 500 }, () => ({ field: long, description: long }))
  return rpcError('INVALID_SPEC', { message: long, violations, metadata: { a: long } })
}

/** What the handlers saw, for the tests to look at. */
class World {
  yielded = 0
  closed = 0
  readonly aborted: unknown[] = []
  readonly principals: Principal[] = []
  readonly timeouts: (number | undefined)[] = []
  readonly entered = Promise.withResolvers<void>()
  readonly left = Promise.withResolvers<void>()
  readonly lines: LogLine[] = []

  addTo(server: TransportServer): void {
    const world = this
    server.add(Echo, {
      async say({ text }, { principal: caller, signal, timeoutMs, metadata }) {
        world.principals.push(caller)
        world.timeouts.push(timeoutMs)
        if (text === 'metadata') return { text: metadata.get('x-note') ?? '' }
        if (text === 'refuse') {
          throw rpcError('EXCEEDS_QUEUE_MAX', {
            metadata: { want: '8', max: '4' },
            violations: [{ field: 'spec.tasks (line 7)', description: 'too many' }],
            retryAfterMs: 1500,
          })
        }
        if (text === 'flood') throw flood()
        if (text === 'bug') throw new Error('password of tenant b')
        if (text !== 'hang') return { text: `hello ${text}` }
        signal.addEventListener('abort', () => {
          world.aborted.push(signal.reason)
          world.left.resolve()
        })
        world.entered.resolve()
        return new Promise(() => undefined)
      },
      async *list({ text }, { signal }) {
        signal.addEventListener('abort', () => world.left.resolve())
        try {
          if (text === 'hang') {
            yield { text: 'first' }
            await new Promise(() => undefined)
          }
          const count = Number(text)
          for (let i = 0; i < count; i += 1) {
            world.yielded += 1
            yield { text: `${i}`.padEnd(10_000) }
          }
          if (count === 3) throw rpcError('FEED_GAP')
        } finally {
          world.closed += 1
        }
      },
      async join(requests) {
        const parts: string[] = []
        for await (const { text } of requests) {
          if (text === 'stop') throw rpcError('WORKSPACE_TOO_LARGE')
          parts.push(text)
        }
        return { text: parts.join('+') }
      },
      async *chat(requests, { signal }) {
        signal.addEventListener('abort', () => world.left.resolve())
        for await (const { text } of requests) yield { text: `re: ${text}` }
      },
      async secret() {
        return { text: 'secret' }
      },
    })
  }
}

type Network = {
  readonly server: (options: RpcServerOptions) => TransportServer
  readonly transport: () => Transport
}

const networks: Record<string, () => Network> = {
  grpc: () => ({
    server: createGrpcServer,
    transport: () => createGrpcTransport({ clock: systemClock }),
  }),
  memory: () => memoryNetwork({ timers: systemTimers }),
}

describe.each(Object.entries(networks))('transport over %s', (_name, open) => {
  const cleanup: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step()
  })

  async function start(more: Partial<RpcServerOptions> = {}) {
    const world = new World()
    const network = open()
    const server = network.server({
      clock: systemClock,
      timers: systemTimers,
      logger: recordingLogger(world.lines),
      authenticate,
      access,
      ...more,
    })
    world.addTo(server)
    const address = await server.listen('127.0.0.1:0')
    const transport = network.transport()
    cleanup.push(
      () => server.close(0),
      () => transport.close(),
    )
    const client = transport.client(Echo, { address, token: 'token-a' })
    return { world, server, address, transport, client, network }
  }

  const failureOf = async (promise: Promise<unknown>): Promise<RpcError> => {
    const error = await promise.then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    if (error instanceof RpcError) return error
    throw new Error(`expected an RpcError, got ${String(error)}`)
  }

  async function drain(items: AsyncIterable<Text>): Promise<string[]> {
    const found: string[] = []
    for await (const { text } of items) found.push(text.trim())
    return found
  }

  async function* texts(...all: string[]): AsyncGenerator<Text> {
    for (const text of all) yield { text }
  }

  it('answers a unary call, with the caller and the default deadline known', async () => {
    const { client, world, address } = await start()
    expect(address).toMatch(/^127\.0\.0\.1:[1-9]\d+$/)
    expect(await client.say({ text: 'you' })).toEqual({ text: 'hello you' })
    expect(world.principals).toEqual([principal])
    expect(world.timeouts[0]).toBeGreaterThan(25_000)
    expect(world.timeouts[0]).toBeLessThanOrEqual(30_000)
  })

  it('carries metadata', async () => {
    const { client } = await start()
    const answer = await client.say({ text: 'metadata' }, { metadata: { 'x-note': 'n' } })
    expect(answer.text).toBe('n')
  })

  it('carries errors with reason, numbers, violations and retry delay', async () => {
    const { client } = await start()
    const error = await failureOf(client.say({ text: 'refuse' }))
    expect(error).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'EXCEEDS_QUEUE_MAX',
      metadata: { want: '8', max: '4' },
      violations: [{ field: 'spec.tasks (line 7)', description: 'too many' }],
      retryAfterMs: 1500,
    })
  })

  it('cuts an error that is too long to carry', async () => {
    const { client } = await start()
    const error = await failureOf(client.say({ text: 'flood' }))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'INVALID_SPEC' })
    expect(error.violations.length).toBeGreaterThan(0)
  })

  it('tells nothing of an unexpected error, but logs it', async () => {
    const { client, world } = await start()
    const error = await failureOf(client.say({ text: 'bug' }))
    expect(error).toMatchObject({ code: 'INTERNAL', reason: 'INTERNAL' })
    expect(error.message).not.toContain('password')
    expect(world.lines).toHaveLength(1)
    expect(world.lines[0]).toMatchObject({ message: 'handler failed' })
  })

  it('refuses callers without a known token and without the role', async () => {
    const { transport, address, client, world } = await start()
    const nobody = transport.client(Echo, { address })
    expect((await failureOf(nobody.say({ text: 'x' }))).code).toBe('UNAUTHENTICATED')
    const wrong = transport.client(Echo, { address, token: 'token-b' })
    expect((await failureOf(wrong.say({ text: 'x' }))).code).toBe('UNAUTHENTICATED')
    expect((await failureOf(drain(wrong.list({ text: '1' })))).code).toBe('UNAUTHENTICATED')
    expect((await failureOf(client.secret({ text: 'x' }))).code).toBe('PERMISSION_DENIED')
    expect(world.principals).toEqual([])
  })

  it('ends a call at its deadline, also when the handler never does', async () => {
    const { client, world } = await start()
    let entered = false
    void world.entered.promise.then(() => {
      entered = true
    })
    // On a busy machine a call may be late before its handler begins; the next has longer.
    for (let timeoutMs = 50; !entered; timeoutMs *= 2) {
      const error = await failureOf(client.say({ text: 'hang' }, { timeoutMs }))
      expect(error.code).toBe('DEADLINE_EXCEEDED')
    }
    await world.left.promise
    expect(world.aborted.length).toBeGreaterThan(0)
  })

  it('bounds unary calls by the limit of the server', async () => {
    const { client } = await start({ unaryTimeoutMs: 50 })
    expect((await failureOf(client.say({ text: 'hang' }))).code).toBe('DEADLINE_EXCEEDED')
  })

  it('tells the handler when the caller goes away', async () => {
    const { client, world } = await start()
    const abort = new AbortController()
    const call = failureOf(client.say({ text: 'hang' }, { signal: abort.signal }))
    await world.entered.promise
    abort.abort()
    expect((await call).code).toBe('CANCELLED')
    await world.left.promise
    const again = client.say({ text: 'x' }, { signal: abort.signal })
    expect((await failureOf(again)).code).toBe('CANCELLED')
  })

  it('streams answers and delivers what came before an error', async () => {
    const { client } = await start()
    expect(await drain(client.list({ text: '2' }))).toEqual(['0', '1'])
    const seen: string[] = []
    const read = async () => {
      for await (const { text } of client.list({ text: '3' })) seen.push(text.trim())
    }
    const error = await failureOf(read())
    expect(error).toMatchObject({ code: 'OUT_OF_RANGE', reason: 'FEED_GAP' })
    expect(seen).toEqual(['0', '1', '2'])
  })

  it('holds a stream back for a slow reader, closes it when the reader leaves', async () => {
    const { client, world } = await start()
    let seen = 0
    for await (const _ of client.list({ text: '20000' })) {
      seen += 1
      // Two hundred messages make 2 MB: far more than any buffer between the two may hold.
      await systemTimers.yieldTurn()
      if (seen === 200) break
    }
    await world.left.promise
    expect(world.yielded).toBeLessThan(5_000)
    await expect.poll(() => world.closed).toBe(1)
  })

  it('takes a stream of requests', async () => {
    const { client } = await start()
    expect(await client.join(texts('a', 'b', 'c'))).toEqual({ text: 'a+b+c' })
    expect(await client.join(texts())).toEqual({ text: '' })
  })

  it('stops reading requests once the handler refused', async () => {
    const { client } = await start()
    let closed = false
    async function* endless(): AsyncGenerator<Text> {
      try {
        yield { text: 'stop' }
        for (;;) yield { text: 'x'.repeat(10_000) }
      } finally {
        closed = true
      }
    }
    const error = await failureOf(client.join(endless()))
    expect(error.reason).toBe('WORKSPACE_TOO_LARGE')
    await expect.poll(() => closed).toBe(true)
  })

  it('gives back the failure of the caller’s own requests', async () => {
    const { client } = await start()
    async function* broken(): AsyncGenerator<Text> {
      yield { text: 'a' }
      throw new Error('disk on fire')
    }
    await expect(client.join(broken())).rejects.toThrow('disk on fire')
    await expect(drain(client.chat(broken()))).rejects.toThrow('disk on fire')
  })

  it('talks both ways in turns', async () => {
    const { client, world } = await start()
    const asked: string[] = []
    const answered = ['start']
    let wake = () => {}
    async function* questions(): AsyncGenerator<Text> {
      for (let i = 0; i < 50; i += 1) {
        while (answered.length <= i) await new Promise<void>((resolve) => (wake = resolve))
        asked.push(`${i}`)
        yield { text: `${i}` }
      }
    }
    for await (const { text } of client.chat(questions())) {
      answered.push(text)
      wake()
    }
    expect(answered.slice(1)).toEqual(asked.map((text) => `re: ${text}`))
    expect(world.lines).toEqual([])
  })

  it('ends streams and refuses calls when it stops, and lets a unary call finish', async () => {
    const { client, server, world } = await start()
    const stream = client.list({ text: 'hang' })[Symbol.asyncIterator]()
    expect(await stream.next()).toMatchObject({ value: { text: 'first' } })
    const hanging = failureOf(client.say({ text: 'hang' }))
    await world.entered.promise
    const closing = server.close(300)
    expect(server.stopping.aborted).toBe(true)
    const ended = await failureOf(stream.next())
    expect(ended).toMatchObject({ code: 'UNAVAILABLE', reason: 'SERVER_STOPPING' })
    expect(world.aborted).toEqual([])
    await closing
    expect((await hanging).code).toBe('UNAVAILABLE')
    expect((await failureOf(client.say({ text: 'x' }))).code).toBe('UNAVAILABLE')
  })

  it('answers UNAVAILABLE where nobody listens', async () => {
    const { transport } = await start()
    const client = transport.client(Echo, { address: '127.0.0.1:1', token: 'token-a' })
    const nobody = { code: 'UNAVAILABLE', reason: 'NOT_CONNECTED' }
    expect(await failureOf(client.say({ text: 'x' }))).toMatchObject(nobody)
    expect(await failureOf(drain(client.list({ text: '1' })))).toMatchObject(nobody)
  })

  it('finds a restarted server again', async () => {
    const { client, server, address, network } = await start()
    await server.close(0)
    expect((await failureOf(client.say({ text: 'x' }))).code).toBe('UNAVAILABLE')
    const world = new World()
    const logger = recordingLogger(world.lines)
    const options = { clock: systemClock, timers: systemTimers, logger, authenticate, access }
    const next = network.server(options)
    world.addTo(next)
    await next.listen(address)
    cleanup.push(() => next.close(0))
    const answered = () =>
      client.say({ text: 'x' }).then(
        ({ text }) => text,
        () => 'not yet',
      )
    await expect.poll(answered, { timeout: 10_000 }).toBe('hello x')
  })

  it('refuses an address in use or open, a method twice or without access row', async () => {
    const { server, address, network } = await start()
    const options = {
      clock: systemClock,
      timers: systemTimers,
      logger: recordingLogger([]),
      authenticate,
    }
    const other = network.server({ ...options, access })
    cleanup.push(() => other.close(0))
    expect((await failureOf(other.listen(address))).code).toBe('UNAVAILABLE')
    expect((await failureOf(other.listen('0.0.0.0:0'))).reason).toBe('LISTEN_REFUSED')
    expect(() => new World().addTo(server)).toThrow('added before')
    const strict = network.server({ ...options, access: {} })
    cleanup.push(() => strict.close(0))
    expect(() => new World().addTo(strict)).toThrow('no access row for /test.Echo/Say')
  })
})
