import { eventsTopic, logTopic } from '@serverless-ai/eventlog'
import { type Ports, TRACEPARENT, type TraceContext } from '@serverless-ai/kernel'
import { type MemoryTracer, memoryTracer } from '@serverless-ai/kernel/testing'
import { describe, expect, it } from 'vitest'
import type { CommitFacts } from './facts.ts'
import { add, type BankCommand, type BankEvent, type BankState, bank } from './testing/bank.ts'
import { type Bank, World } from './testing/world.ts'
import { TRACES_HEADER, Traces } from './traces.ts'

/** A world and a tracer of its processes. */
function tracedWorld(seed = 1): { world: World; tracer: MemoryTracer; ports: Ports } {
  const world = new World(seed)
  const tracer = memoryTracer()
  return { world, tracer, ports: { ...world.ports, tracer } }
}

/** Executes a command as part of a new trace. */
async function traced(
  world: World,
  tracer: MemoryTracer,
  at: { runtime: Bank; command: BankCommand },
) {
  const span = tracer.start('call')
  const answer = await world.run(tracer.within(span.context, () => at.runtime.execute(at.command)))
  span.end()
  return { ...answer, context: span.context }
}

const headersOn = (world: World, topic: string) =>
  world.store.partition({ topic, partition: 0 }).records.map(({ headers }) => headers)
/** A commit with public events of these keys. */
const commitOf = (...keys: string[]): CommitFacts => ({
  kind: 'normal',
  commitId: new Uint8Array(16),
  epoch: 1,
  sequence: 1,
  atMs: 0,
  inputs: [],
  answers: [],
  events: [],
  publics: keys.map((key, i) => {
    return { seq: i + 1, type: 't', key, tenant: '', payload: new Uint8Array(0) }
  }),
  runtime: [],
})
const spanIdOf = (context: TraceContext | undefined) => context?.split('-')[2]
const lastHeader = (world: World, topic: string) => headersOn(world, topic).at(-1)?.[TRACEPARENT]

describe('a traced command', () => {
  it('has a span whose context stands beside its commit and its public events', async () => {
    const { world, tracer, ports } = tracedWorld()
    const { runtime } = await world.started(bank(), { ports })
    await world.run(runtime.execute(add('quiet')))
    const { context } = await traced(world, tracer, { runtime, command: add('a') })
    await world.until(() => world.publishedSeqs().length === 2, 'published')
    const span = tracer.one('commit Add')
    expect(span).toMatchObject({ parentId: spanIdOf(context), ended: true, error: '' })
    expect(span.attributes).toMatchObject({ 'sai.service': 'bank', 'sai.position': 'bank:0:2:2' })
    const [claim, untraced, commit] = headersOn(world, logTopic('bank'))
    expect([claim, untraced]).toEqual([{}, {}])
    expect(spanIdOf(commit?.[TRACEPARENT])).toBe(span.spanId)
    const [first, second] = headersOn(world, eventsTopic('bank'))
    expect(first).not.toHaveProperty(TRACEPARENT)
    expect(spanIdOf(second?.[TRACEPARENT])).toBe(span.spanId)
  })

  it('tells why it was refused', async () => {
    const { world, tracer, ports } = tracedWorld()
    const { runtime } = await world.started(bank(), { ports })
    await traced(world, tracer, { runtime, command: { type: 'Take', key: 'a', n: 1 } })
    expect(tracer.one('commit Take')).toMatchObject({ ended: true, error: 'NOT_ENOUGH' })
  })

  it('shares a commit with others, and each public event belongs to its own trace', async () => {
    const { world, tracer, ports } = tracedWorld()
    const { runtime } = await world.started(bank(), { ports })
    const spans = ['a', 'b', 'c'].map((key) => ({ key, span: tracer.start(`call ${key}`) }))
    const all = spans.map(({ key, span }) =>
      tracer.within(span.context, () => runtime.execute(add(key))),
    )
    await world.run(Promise.all([...all, runtime.execute(add('quiet'))]))
    await world.until(() => world.publishedSeqs().length === 4, 'published')
    const traceIds = headersOn(world, eventsTopic('bank')).map((h) => h[TRACEPARENT]?.split('-')[1])
    expect(traceIds).toEqual([...spans.map(({ span }) => span.context.split('-')[1]), undefined])
    const { [TRACES_HEADER]: marked = '{}' } = headersOn(world, logTopic('bank')).at(-1) ?? {}
    expect(Object.values(JSON.parse(marked))).toEqual([1, 2, 3].map((seq) => ({ p: [seq], e: [] })))
  })
})

describe('an effect of a traced command', () => {
  it('is performed as part of the trace; what it leads to goes on with it', async () => {
    const { world, tracer, ports } = tracedWorld()
    const seen: (TraceContext | undefined)[] = []
    const definition = bank({
      perform: async (_, { attempt }) => {
        await Promise.resolve()
        seen.push(tracer.active())
        if (attempt === 1) throw new Error('unreachable')
        return add('called')
      },
    })
    const { runtime } = await world.started(definition, { ports })
    await traced(world, tracer, { runtime, command: { type: 'Call', key: 'x' } })
    await world.until(() => runtime.status().unsettledEffects === 0, 'settled')
    const command = tracer.one('commit Call')
    const attempts = tracer.spans.filter(({ name }) => name === 'effect call')
    expect(attempts.map(({ parentId, error }) => [parentId, error])).toEqual([
      [command.spanId, 'unreachable'],
      [command.spanId, ''],
    ])
    expect(seen.map(spanIdOf)).toEqual(attempts.map(({ spanId }) => spanId))
    await world.until(() => world.publishedSeqs().length === 1, 'published')
    expect(spanIdOf(lastHeader(world, eventsTopic('bank')))).toBe(attempts[1]?.spanId)
  })

  it('is performed by the next leader as part of the trace, too', async () => {
    const { world, tracer, ports } = tracedWorld()
    const stuck = bank({ perform: () => new Promise(() => {}) })
    const first = await world.started(stuck, { ports })
    await traced(world, tracer, { runtime: first.runtime, command: { type: 'Call', key: 'x' } })
    first.log.kill()
    const next = bank({ perform: async () => ({ type: 'Called', key: 'x' }) })
    const { runtime } = await world.started(next, { ports })
    await world.until(() => runtime.status().unsettledEffects === 0, 'settled')
    const [, second] = tracer.spans.filter(({ name }) => name === 'effect call')
    expect(second?.parentId).toBe(tracer.one('commit Call').spanId)
  })
})

describe('a public event of a trace', () => {
  it('goes on with it at the consumer', async () => {
    const { world, tracer, ports } = tracedWorld()
    const from = await world.started(bank({ name: 'source' }), { ports })
    const to = await world.started(bank({ name: 'sink', other: 'source' }), { ports })
    const command = add('a')
    const { position } = await traced(world, tracer, { runtime: from.runtime, command })
    await world.run(to.runtime.read(() => undefined, { minPosition: position }))
    const consumed = tracer.one('consume Added')
    expect(consumed).toMatchObject({
      kind: 'consumer',
      parentId: tracer.one('commit Add').spanId,
      ended: true,
      attributes: { 'sai.service': 'sink', 'sai.key': 'a', 'sai.seq': 1 },
    })
    expect(spanIdOf(to.runtime.traceOf('a'))).toBe(consumed.spanId)
    expect(to.runtime.traceOf('b')).toBeUndefined()
  })

  it('of an entity that changes by itself belongs to the last trace of the entity', async () => {
    const { world, tracer, ports } = tracedWorld()
    const { runtime } = await world.started(bank(), { ports })
    await traced(world, tracer, { runtime, command: add('a') })
    await world.run(runtime.execute(add('a')))
    await world.run(runtime.execute(add('b')))
    await world.until(() => world.publishedSeqs().length === 3, 'published')
    const contexts = headersOn(world, eventsTopic('bank')).map((headers) => headers[TRACEPARENT])
    expect(contexts.map(spanIdOf)).toEqual([
      tracer.one('commit Add').spanId,
      tracer.one('commit Add').spanId,
      undefined,
    ])
  })
})

describe('a round after the batch', () => {
  it('belongs, for each entity, to what the batch did to it', async () => {
    const { world, tracer, ports } = tracedWorld()
    const plain = bank()
    const definition = {
      ...plain,
      publish: (event: BankEvent, state: BankState, atMs: number) => {
        if (event.type !== 'InterestPaid') return plain.publish(event, state, atMs)
        return [...state.accounts.keys()].map((key) => {
          return { type: 'bank.v1.Paid', key, tenant: 't', payload: new Uint8Array(0) }
        })
      },
    }
    const { runtime } = await world.started(definition, { ports })
    await world.run(runtime.execute({ type: 'Interest', on: true }))
    await traced(world, tracer, { runtime, command: add('a') })
    const first = tracer.one('commit Add').spanId
    await world.until(() => world.publishedSeqs().length === 2, 'published')
    const parents = () =>
      headersOn(world, eventsTopic('bank')).map((headers) => spanIdOf(headers[TRACEPARENT]))
    expect(parents()).toEqual([first, first])
    await world.run(runtime.execute(add('b')))
    await world.until(() => world.publishedSeqs().length === 5, 'published')
    expect(parents().slice(2)).toEqual([undefined, first, undefined])
  })
})

describe('tracing', () => {
  it('changes no byte of what is in the log, and no digest', async () => {
    const run = async (withTraces: boolean) => {
      const { world, tracer, ports } = tracedWorld(7)
      const more = withTraces ? { ports } : {}
      const definition = bank({ perform: async () => add('called') })
      const { runtime } = await world.started(definition, more)
      for (const command of [add('a'), { type: 'Call', key: 'x' }, add('b')] as const) {
        await traced(world, tracer, { runtime, command })
        await world.until(() => runtime.status().unsettledEffects === 0, 'settled')
      }
      await world.run(runtime.stop())
      const { records } = world.store.partition({ topic: logTopic('bank'), partition: 0 })
      const { digest } = await world.fold(definition)
      return { values: records.map(({ value }) => Buffer.from(value).toString('hex')), digest }
    }
    const [untraced, withTraces] = [await run(false), await run(true)]
    expect(withTraces).toEqual(untraced)
    expect(untraced.values.length).toBeGreaterThan(4)
  })

  it('ignores headers that are not well formed', () => {
    const traces = new Traces(memoryTracer(), { service: 'bank', partition: 0 })
    const facts = commitOf('a')
    for (const text of [
      '',
      'no',
      '7',
      'null',
      '{"c":7}',
      '{"c":{"p":"x"}}',
      '{"c":{"p":[9],"e":[]}}',
    ]) {
      traces.folded({ [TRACES_HEADER]: text }, facts)
    }
    expect(traces.ofEntity('a')).toBeUndefined()
  })

  it('forgets what is old, and follows no more than a part of a large batch', () => {
    const traces = new Traces(memoryTracer(), { service: 'bank', partition: 0 })
    for (let i = 0; i < 10_050; i += 1) traces.note(`k${i}`, `c${i}`)
    expect(traces.ofEntity('k49')).toBeUndefined()
    expect(traces.ofEntity('k50')).toBe('c50')
    const effects = new Map(Array.from({ length: 100 }, (_, i) => [`e${i}`, `c${i}`]))
    const headers = traces.headersOf(commitOf(), {
      publics: new Map(),
      effects,
    })
    expect(Object.keys(JSON.parse(headers[TRACES_HEADER] ?? ''))).toHaveLength(64)
  })
})
