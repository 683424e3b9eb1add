import { systemClock } from '@serverless-ai/kernel/system'
import { afterEach, expect, test } from 'vitest'
import { GatewayBench } from '../testing/bench.ts'

const closing: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function bench(...args: ConstructorParameters<typeof GatewayBench>) {
  const it = await new GatewayBench(...args).start()
  closing.push(() => it.close())
  return it
}

/** Status and code of an answer; the connection broke: 0. */
async function outcome(answer: Promise<Response>): Promise<{ status: number; code: string }> {
  try {
    const response = await answer
    const text = await response.text()
    if (response.status === 200) return { status: 200, code: '' }
    return { status: response.status, code: JSON.parse(text).error.details[0].reason }
  } catch {
    return { status: 0, code: 'BROKEN' }
  }
}

const count = (all: readonly { status: number; code: string }[]) => {
  const counts: Record<string, number> = {}
  for (const { status, code } of all) {
    const name = status === 200 ? 'ok' : code
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

test('a burst × 50 within a second: each is answered or told why, then it is over', async () => {
  const limits = { heldPerTenant: 40, heldPerService: 60, timeoutMs: 20_000 }
  const it = await bench({ ...limits, shared: ['a/echo'] })
  await it.replica((_, response) => setTimeout(() => response.end('done'), 10), { concurrency: 4 })
  // 400 a second can be answered; one tenant asks for as many within a moment, others for a few.
  const flood = Array.from({ length: 400 }, () => outcome(it.fetch('/services/a/echo/')))
  const others = Array.from({ length: 15 }, () => {
    return outcome(it.fetch('/services/a/echo/', { headers: { 'x-sai-class': 'standard' } }, 'b'))
  })
  const told = count(await Promise.all(flood))
  // Nothing else came of any of them: no broken connection, no status without its code.
  expect(Object.keys(told).sort()).toEqual(['TENANT_QUEUE_FULL', 'ok'])
  expect(told['ok']).toBeGreaterThanOrEqual(limits.heldPerTenant)
  expect((told['ok'] ?? 0) + (told['TENANT_QUEUE_FULL'] ?? 0)).toBe(400)
  expect(count(await Promise.all(others))).toEqual({ ok: 15 })
  expect(it.gateway.requests).toBe(0)
  expect(await outcome(it.fetch('/services/a/echo/'))).toEqual({ status: 200, code: '' })
})

test('a burst of all classes: the lowest gives way to the others', async () => {
  const it = await bench({ heldPerTenant: 100, heldPerService: 40 })
  const waiting: (() => void)[] = []
  await it.replica((_, response) => waiting.push(() => void response.end('done')), {
    concurrency: 2,
  })
  const ask = (name: string, times: number) =>
    Array.from({ length: times }, () =>
      outcome(it.fetch('/services/a/echo/', { headers: { 'x-sai-class': name } })),
    )
  const low = ask('batch', 42)
  // The lower class is there first, and all places are taken.
  await expect.poll(() => it.gateway.requests).toBeGreaterThanOrEqual(42)
  const high = ask('interactive', 30)
  // As many of the lower class as of the higher one gave way by now: the replica goes on.
  await expect.poll(() => it.measured.length).toBe(30)
  const going = setInterval(() => waiting.shift()?.(), 1)
  closing.push(() => clearInterval(going))
  expect(count(await Promise.all(high))).toEqual({ ok: 30 })
  const lower = count(await Promise.all(low))
  expect(Object.keys(lower).sort()).toEqual(['REQUEST_SHED', 'ok'])
  expect(lower['REQUEST_SHED']).toBe(30)
})

test('a replica that dies under load takes only what it had, the others the rest', async () => {
  const it = await bench()
  const handle = (_: unknown, response: import('node:http').ServerResponse): void => {
    setTimeout(() => response.end('done'), 30)
  }
  await it.replica(handle, { concurrency: 8 })
  await it.replica(handle, { concurrency: 8 })
  const ask = (method: string) =>
    Array.from({ length: 60 }, () => outcome(it.fetch('/services/a/echo/', { method })))
  const [read, written] = [ask('GET'), ask('POST')]
  const half = it.measured.length + 20
  await it.ended(half)
  it.replicas[0]?.close()
  // What is the same once or twice was made again at the other one; the rest is told.
  expect(count(await Promise.all(read))).toEqual({ ok: 60 })
  const { ok = 0, ...lost } = count(await Promise.all(written))
  expect(Object.keys(lost).every((code) => code === 'REPLICA_BROKE_OFF')).toBe(true)
  expect(ok).toBeGreaterThanOrEqual(52)
  // The present of the table comes later; requests do well until then.
  expect(count(await Promise.all(ask('POST')))).toEqual({ ok: 60 })
})

test('a service whose replica never becomes ready: requests are held, told and ended', async () => {
  const it = await bench({ holdMs: 300 })
  it.service({ replicas: [] })
  const held = outcome(it.fetch('/services/a/echo/'))
  await expect.poll(() => it.demands.length).toBeGreaterThan(0)
  // It is placed and not ready: the table says so.
  const route = { gang: 1, generation: 1, address: '127.0.0.1:1', ready: false, draining: false }
  it.service({ replicas: [route] })
  expect(await held).toEqual({ status: 504, code: 'HOLD_EXPIRED' })
})

test('a jump of the wall clock concerns no request', async () => {
  let jumpMs = 0
  const clock = {
    monotonicMs: () => systemClock.monotonicMs(),
    bootMs: () => systemClock.bootMs(),
    wallMs: () => systemClock.wallMs() + jumpMs,
  }
  const it = await bench({ timeoutMs: 5_000, holdMs: 5_000 }, ['a'], clock)
  let end: (() => void) | undefined
  await it.replica((_, response) => {
    end = () => void response.end('done')
  })
  for (const ms of [-3_600_000, 86_400_000]) {
    const answer = outcome(it.fetch('/services/a/echo/'))
    await expect.poll(() => end).toBeDefined()
    jumpMs = ms
    end?.()
    end = undefined
    expect(await answer).toEqual({ status: 200, code: '' })
  }
  for (const { arrivedMs, endedMs } of it.measured) {
    expect(endedMs - arrivedMs).toBeGreaterThanOrEqual(0)
    expect(endedMs - arrivedMs).toBeLessThan(5_000)
  }
})
