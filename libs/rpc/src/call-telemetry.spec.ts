import { HealthService } from '@serverless-ai/contracts/grpc/health/v1/health'
import { type Principal, RpcError, TRACEPARENT } from '@serverless-ai/kernel'
import { systemClock, systemTimers } from '@serverless-ai/kernel/system'
import { memoryTracer } from '@serverless-ai/kernel/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { ACCESS, type AccessTable } from './access.ts'
import type { ObservedCall } from './call-telemetry.ts'
import { createGrpcTransport } from './grpc-client.ts'
import { createGrpcServer } from './grpc-server.ts'
import { addHealth, HealthRegistry } from './health.ts'

type Text = { readonly text: string }

function method<const P extends boolean>(name: string, responseStream: P) {
  const encode = (value: Text) => Buffer.from(JSON.stringify(value))
  const decode = (bytes: Uint8Array): Text => JSON.parse(Buffer.from(bytes).toString())
  return {
    path: `/test.Echo/${name}`,
    requestStream: false as const,
    responseStream,
    requestSerialize: encode,
    requestDeserialize: decode,
    responseSerialize: encode,
    responseDeserialize: decode,
  }
}

const Echo = { say: method('Say', false), list: method('List', true) }
const principal: Principal = { subject: 'token:a', tenant: 'a', roles: ['tenant'] }
const silent = { log: () => {}, child: () => silent }

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

/** A server and a caller; `say` fails for the text `no`, and calls itself once for `twice`. */
async function world(traced: boolean) {
  const tracer = traced ? memoryTracer() : undefined
  const calls: ObservedCall[] = []
  const observer = { called: (call: ObservedCall) => calls.push(call) }
  const seen: (string | undefined)[] = []
  const access: AccessTable = {
    ...ACCESS,
    '/test.Echo/Say': ['tenant'],
    '/test.Echo/List': ['tenant'],
  }
  const server = createGrpcServer({
    ...{ clock: systemClock, timers: systemTimers, logger: silent },
    ...{ authenticate: () => principal, access, observer, tracer },
  })
  const transport = createGrpcTransport({ clock: systemClock, observer, tracer })
  server.add(Echo, {
    async say({ text }, { metadata }) {
      seen.push(metadata.get(TRACEPARENT))
      await Promise.resolve()
      if (text === 'no') throw new RpcError({ code: 'NOT_FOUND', reason: 'GONE', message: 'no' })
      if (text === 'twice') return echo.say({ text: 'once' })
      return { text }
    },
    async *list({ text }) {
      for (const part of text.split('')) yield { text: part }
    },
  })
  addHealth(server, new HealthRegistry())
  const address = await server.listen('127.0.0.1:0')
  const echo = transport.client(Echo, { address, token: 'a' })
  const health = transport.client(HealthService, { address })
  cleanups.push(
    () => server.close(0),
    () => transport.close(),
  )
  return { echo, health, tracer, calls, seen }
}

const told = ({ side, method: name, code }: ObservedCall) => `${side} ${name} ${code}`

describe('calls', () => {
  it('are told with method, code and time, by both sides', async () => {
    const { echo, calls } = await world(false)
    await echo.say({ text: 'hello' })
    await expect(echo.say({ text: 'no' })).rejects.toMatchObject({ reason: 'GONE' })
    for await (const _ of echo.list({ text: 'abc' }));
    await expect
      .poll(() => calls.map(told).sort())
      .toEqual([
        'client test.Echo/List OK',
        'client test.Echo/Say NOT_FOUND',
        'client test.Echo/Say OK',
        'server test.Echo/List OK',
        'server test.Echo/Say NOT_FOUND',
        'server test.Echo/Say OK',
      ])
    for (const { method: name, streaming, tookMs } of calls) {
      expect(streaming).toBe(name === 'test.Echo/List')
      expect(tookMs).toBeGreaterThan(0)
    }
  })

  it('carry no context while nothing is traced', async () => {
    const { echo, seen } = await world(false)
    await echo.say({ text: 'hello' })
    expect(seen).toEqual([undefined])
  })
})

describe('spans of calls', () => {
  it('follow a call into the calls that its handler makes', async () => {
    const { echo, tracer } = await world(true)
    await echo.say({ text: 'twice' })
    await expect.poll(() => tracer?.spans.every((span) => span.ended)).toBe(true)
    expect(tracer?.spans.map(({ kind }) => kind)).toEqual(['server', 'client', 'server'])
    const [first, made, second] = tracer?.spans ?? []
    expect(first).toMatchObject({ name: 'test.Echo/Say', parentId: '', error: '' })
    expect(made).toMatchObject({ traceId: first?.traceId, parentId: first?.spanId })
    expect(second).toMatchObject({ traceId: first?.traceId, parentId: made?.spanId })
  })

  it('say what went wrong', async () => {
    const { echo, tracer } = await world(true)
    await expect(echo.say({ text: 'no' })).rejects.toMatchObject({ reason: 'GONE' })
    const attributes = { 'rpc.response.status_code': 'NOT_FOUND' }
    expect(tracer?.one('test.Echo/Say')).toMatchObject({ error: 'GONE', attributes })
  })

  it('go on with the trace of the caller', async () => {
    const { echo, tracer } = await world(true)
    const outer = tracer?.start('outer')
    await tracer?.within(outer?.context ?? '', () => echo.say({ text: 'hello' }))
    const [, made, served] = tracer?.spans ?? []
    expect(made).toMatchObject({ kind: 'client', parentId: tracer?.one('outer').spanId })
    expect(served).toMatchObject({ kind: 'server', parentId: made?.spanId })
  })

  it('are not made of streams and of what comes by itself all the time', async () => {
    const { echo, health, tracer } = await world(true)
    for await (const _ of echo.list({ text: 'abc' }));
    await health.check({ service: '' })
    expect(tracer?.spans).toEqual([])
  })
})
