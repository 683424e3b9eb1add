import type { ServerResponse } from 'node:http'
import { afterEach, expect, test } from 'vitest'
import { Outcome } from '../app/meter.ts'
import { GatewayBench } from '../testing/bench.ts'
import { shedEvent } from '../testing/shed-event.ts'

const closing: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function bench() {
  const it = await new GatewayBench().start()
  closing.push(() => it.close())
  const table = it.sheds.table()
  const tell = (...events: ReturnType<typeof shedEvent>[]) =>
    table.apply({ after: undefined, events, mark: { seq: 1, offset: -1 } })
  const ask = async (className: string, service = 'chat') => {
    const headers = { 'x-sai-class': className }
    const answer = await it.fetch(`/services/a/${service}/`, { headers })
    const text = await answer.text()
    if (answer.status === 200) return { status: 200 }
    const { message, details } = JSON.parse(text).error
    const retryAfter = answer.headers.get('retry-after')
    return { status: answer.status, reason: details[0].reason, retryAfter, message }
  }
  return { it, tell, ask }
}

const OK = { status: 200 }
const SHED = { status: 503, reason: 'REQUEST_SHED', retryAfter: '5' }

test('while an objective asks for it a class and all below it are refused', async () => {
  const { it, tell, ask } = await bench()
  for (const name of ['chat', 'other']) {
    await it.replica((_, response) => response.end('done'), { name })
  }
  await tell(shedEvent({ service: 'chat', class: 'standard' }))
  expect(await ask('interactive')).toEqual(OK)
  expect(await ask('standard')).toMatchObject(SHED)
  const low = await ask('batch')
  expect(low).toMatchObject(SHED)
  expect(low.message).toContain('the class batch is refused')
  expect(await ask('batch', 'other')).toEqual(OK)
  const shed = it.measured.filter(({ outcome }) => outcome === Outcome.SHED)
  expect(shed).toMatchObject([
    { class: 'standard', reason: 'REQUEST_SHED', httpStatus: 503, attempts: 0 },
    { class: 'batch', reason: 'REQUEST_SHED', httpStatus: 503, attempts: 0 },
  ])
  // A service that is declared while the action holds, and one that changes.
  await tell(shedEvent({ actionId: 'o:1:2', service: '' }))
  await it.replica((_, response) => response.end('done'), { name: 'late' })
  expect(await ask('batch', 'late')).toMatchObject(SHED)
  expect(await ask('standard', 'late')).toEqual(OK)
  await tell(shedEvent({ service: 'chat', class: 'standard', withdrawnMs: 9n }))
  expect(await ask('standard')).toEqual(OK)
  expect(await ask('batch')).toMatchObject(SHED)
  await tell(shedEvent({ actionId: 'o:1:2', withdrawnMs: 9n }))
  expect(await ask('batch')).toEqual(OK)
})

test('held requests of the class leave; what runs, and others that wait, stay', async () => {
  const { it, tell, ask } = await bench()
  const running: ServerResponse[] = []
  const chat = { name: 'chat', concurrency: 1 }
  await it.replica((_, response) => void running.push(response), chat)
  const first = ask('batch')
  await expect.poll(() => running.length).toBe(1)
  const held = ['batch', 'batch', 'standard', 'interactive'].map((name) => ask(name))
  await expect.poll(() => it.gateway.requests).toBe(5)
  await tell(shedEvent())
  await it.ended(2)
  expect(await held[0]).toMatchObject(SHED)
  expect(await held[1]).toMatchObject(SHED)
  expect(it.gateway.requests).toBe(3)
  for (let ended = 0; ended < 3; ended += 1) {
    await expect.poll(() => running.length).toBe(ended + 1)
    running[ended]?.end('done')
  }
  expect(await Promise.all([first, held[2], held[3]])).toEqual([OK, OK, OK])
  expect(it.gateway.requests).toBe(0)
})
