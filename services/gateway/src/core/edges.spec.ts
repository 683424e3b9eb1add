import { expect, test } from 'vitest'
import { AnswerMeter } from './answer-meter.ts'
import { answerHeaders, headersProblem, requestHeaders } from './headers.ts'
import { readOpenAi } from './openai.ts'
import { serviceHost, servicePath, targetProblem } from './paths.ts'
import { RetryBudget } from './retry-budget.ts'

test('a path leads to a service, and to a target there', () => {
  const rest = (target: string) => servicePath(target)?.rest
  expect(servicePath('/services/t1/s-2/a/b?c')).toEqual({
    tenant: 't1',
    name: 's-2',
    rest: '/a/b?c',
  })
  expect(rest('/services/t/s')).toBe('/')
  expect(rest('/services/t/s?x')).toBe('/?x')
  for (const bad of ['/services/t', '/services/T/s/', '/services/t/-s/', '/service/t/s/', '/']) {
    expect(servicePath(bad), bad).toBeUndefined()
  }
})

test('a host leads to a service of its domain', () => {
  expect(serviceHost('S.t.ai.example:80', 'ai.example')).toEqual({ name: 's', tenant: 't' })
  for (const host of [
    't.ai.example',
    'x.s.t.ai.example',
    's.t.ai.example.evil',
    's.t.ai2.example',
  ]) {
    expect(serviceHost(host, 'ai.example'), host).toBeUndefined()
  }
  expect(serviceHost('s.t.', '')).toBeUndefined()
})

test('targets with dots inside names are no climbing', () => {
  for (const good of ['/a/..b', '/a/b..', '/a/.well-known/x', '/a/v1.2/...', '/x?y=../..']) {
    expect(targetProblem(good), good).toBeUndefined()
  }
})

test('headers of a connection stay at it, both ways', () => {
  const headers = { connection: 'x-a', 'x-a': '1', 'x-b': '2', te: 'trailers', upgrade: 'h2c' }
  expect(requestHeaders(headers)).toEqual({ 'x-b': '2' })
  expect(answerHeaders({ ...headers, 'set-cookie': ['a', 'b'] })).toEqual({
    'x-b': '2',
    'set-cookie': ['a', 'b'],
  })
  expect(headersProblem(['A', '1', 'b', '2'])).toBeUndefined()
  expect(headersProblem(['Host', 'a', 'hOst', 'a'])?.code).toBe('HEADER_INVALID')
})

const feed = (meter: AnswerMeter, text: string, size: number): number => {
  let events = 0
  for (let at = 0; at < text.length; at += size) {
    events += meter.take(Buffer.from(text.slice(at, at + size)))
  }
  return events
}

test('events are counted wherever the pieces end', () => {
  const text = `: hi\n\n${'data: {"x":"data: y"}\n\n'.repeat(5)}data: [DONE]\n\n`
  for (let size = 6; size <= text.length; size += 1) {
    const meter = new AnswerMeter(true)
    const events = feed(meter, text, size)
    // An end mark that is cut in two counts as an event.
    expect(events - 5, `pieces of ${size}`).toBeOneOf([0, 1])
    expect(meter.tokens().output).toBe(events)
  }
})

test('usage is found at the end, and is better than counting', () => {
  const meter = new AnswerMeter(true)
  feed(
    meter,
    `data: {}\n\n${'data: {"usage":{"prompt_tokens": 12,"completion_tokens":34}}\n\n'}`,
    7,
  )
  expect(meter.tokens()).toEqual({ input: 12, output: 34 })
  const plain = new AnswerMeter(false)
  feed(plain, '{"data: ":1}', 3)
  expect(plain.tokens()).toEqual({ input: undefined, output: undefined })
})

test('a request of the OpenAI API says its model and its size', () => {
  const read = (json: unknown) => readOpenAi(Buffer.from(JSON.stringify(json)))
  expect(read({ model: 'm', max_tokens: 5, user: 'u' })).toMatchObject({
    model: 'm',
    answerTokens: 5,
    session: 'u',
  })
  expect(read({ model: 'm', max_tokens: -5 })?.answerTokens).toBe(256)
  for (const bad of [{}, [], 'x', { model: 7 }, { model: '' }]) expect(read(bad)).toBeUndefined()
  expect(readOpenAi(Buffer.from('{"model":'))).toBeUndefined()
})

test('retries are a fifth of the requests at most', () => {
  const budget = new RetryBudget()
  let retries = 0
  for (let n = 0; n < 1_000; n += 1) {
    budget.earn()
    if (budget.spend()) retries += 1
  }
  expect(retries).toBeLessThanOrEqual(212)
  expect(retries).toBeGreaterThan(190)
})
