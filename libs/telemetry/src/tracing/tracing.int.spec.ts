import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createLogger } from '../logger.ts'
import { openTracing } from './index.ts'

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

interface SentSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly kind: number
  readonly status: { readonly code?: number; readonly message?: string }
}

/** An OTLP/HTTP receiver. */
async function receiver() {
  const bodies: { resourceSpans: { resource: unknown; scopeSpans: { spans: SentSpan[] }[] }[] }[] =
    []
  const paths: (string | undefined)[] = []
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const piece of request) text += piece
    paths.push(request.url)
    bodies.push(JSON.parse(text))
    response.setHeader('content-type', 'application/json').end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => void server.close())
  const { port } = server.address() as AddressInfo
  const resources = () => bodies.flatMap(({ resourceSpans }) => resourceSpans)
  const spans = () => resources().flatMap(({ scopeSpans }) => scopeSpans.flatMap((s) => s.spans))
  return { endpoint: `http://127.0.0.1:${port}/`, paths, resources, spans }
}

const NAMES = { service: 'scheduler', replica: 'r2', version: '1.2.3' }

describe('tracing over OTLP', () => {
  it('sends spans with their parents, across what is awaited', async () => {
    const { endpoint, spans, paths, resources } = await receiver()
    const { tracer, close } = openTracing({ endpoint, sampleFraction: 1, ...NAMES })
    expect(tracer.active()).toBeUndefined()
    const outer = tracer.start('outer', { kind: 'server', attributes: { a: 1 } })
    await tracer.within(outer.context, async () => {
      await new Promise((resolve) => setImmediate(resolve))
      expect(tracer.active()).toBe(outer.context)
      tracer.start('inner', { parent: tracer.active() }).end({ error: 'BROKEN' })
    })
    expect(tracer.active()).toBeUndefined()
    outer.end()
    await close()
    expect(new Set(paths)).toEqual(new Set(['/v1/traces']))
    const [inner, first] = spans()
    expect(first).toMatchObject({ name: 'outer', kind: 2 })
    expect(outer.context).toBe(`00-${first?.traceId}-${first?.spanId}-01`)
    expect(first?.parentSpanId ?? '').toBe('')
    expect(inner).toMatchObject({ traceId: first?.traceId, parentSpanId: first?.spanId })
    expect(inner?.status).toMatchObject({ code: 2, message: 'BROKEN' })
    expect(JSON.stringify(resources()[0]?.resource)).toContain('"scheduler"')
  })

  it('follows the decision of the caller, and takes what is no context for none', async () => {
    const { endpoint, spans } = await receiver()
    const { tracer, close } = openTracing({ endpoint, sampleFraction: 0, ...NAMES })
    const traceId = 'a'.repeat(32)
    tracer.start('new').end()
    tracer.start('not sampled', { parent: `00-${traceId}-${'b'.repeat(16)}-00` }).end()
    tracer.start('sampled', { parent: `00-${traceId}-${'b'.repeat(16)}-01` }).end()
    const odd = tracer.start('odd', { parent: 'nonsense; drop table' })
    expect(odd.context).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-00$/)
    odd.end()
    await close()
    expect(spans().map(({ name }) => name)).toEqual(['sampled'])
    expect(spans()[0]).toMatchObject({ traceId, parentSpanId: 'b'.repeat(16) })
  })

  it('ends in time and without a word when nobody takes the spans', async () => {
    const { tracer, close } = openTracing({
      ...{ endpoint: 'http://127.0.0.1:9', sampleFraction: 1 },
      ...NAMES,
    })
    tracer.start('lost').end()
    await close()
  }, 15_000)

  it('puts the ids of the active span into log lines', async () => {
    const { endpoint } = await receiver()
    const { tracer, close } = openTracing({ endpoint, sampleFraction: 1, ...NAMES })
    const lines: Record<string, unknown>[] = []
    const destination = { write: (text: string) => void lines.push(JSON.parse(text)) }
    const logger = createLogger({ service: 'scheduler', replica: 'r2', level: 'info', destination })
    const span = tracer.start('work')
    logger.log('info', 'before')
    tracer.within(span.context, () => logger.child({ partition: 3 }).log('info', 'during'))
    span.end()
    await close()
    const [, traceId, spanId] = span.context.split('-')
    expect(lines[0]).toMatchObject({ msg: 'before', service: 'scheduler', replica: 'r2' })
    expect(lines[0]).not.toHaveProperty('traceId')
    expect(lines[1]).toMatchObject({ msg: 'during', partition: 3, traceId, spanId })
  })
})
