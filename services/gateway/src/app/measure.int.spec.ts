import type { Sample } from '@serverless-ai/contracts/telemetry/v1/telemetry'
import { systemClock, systemTimers } from '@serverless-ai/kernel/system'
import { openInProcessBus, TelemetrySender } from '@serverless-ai/telemetry-bus'
import { expect, test } from 'vitest'
import { GatewayBench } from '../testing/bench.ts'
import { Measure, recordOf } from './measure.ts'
import { Outcome } from './meter.ts'

const chunk = 'data: {"choices":[]}\n\n'

test('what was measured of a stream is what its replica did', async () => {
  const it = await new GatewayBench().start()
  await it.replica(
    (request, response) => {
      request.resume()
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      let left = 5
      const timer = setInterval(() => {
        response.write(chunk)
        left -= 1
        if (left > 0) return
        clearInterval(timer)
        response.end('data: [DONE]\n\n')
      }, 40)
    },
    { name: 'llm', protocol: 'openai' },
  )
  const body = JSON.stringify({ model: 'llm', stream: true, prompt: 'x' })
  await (await it.fetch('/v1/completions', { method: 'POST', body })).text()
  await it.ended(1)
  const record = recordOf(it.measured[0]!)
  expect(record).toMatchObject({
    jobId: 'job-a-llm',
    tenant: 'a',
    class: 'standard',
    outcome: Outcome.OK,
    httpStatus: 200,
    outputTokens: 5,
    inputTokens: undefined,
    gang: 1,
    attempts: 1,
    fromZero: false,
  })
  const { queueUs, ttftUs, tpotUs, e2eUs } = record
  expect(Number(queueUs)).toBeLessThan(Number(ttftUs))
  expect(Number(ttftUs)).toBeGreaterThanOrEqual(35_000)
  expect(Number(tpotUs)).toBeGreaterThanOrEqual(30_000)
  // First token and four steps are what the whole took, but for its end.
  expect(Number(ttftUs) + 4 * Number(tpotUs)).toBeLessThanOrEqual(Number(e2eUs))
  await it.close()
})

test('loads are told while there are requests, and once when there are none', async () => {
  const bus = openInProcessBus(systemClock)
  const reader = bus.subscribe()
  const options = { source: 'gateway/r1', bootId: 'b', bus }
  const sender = new TelemetrySender({ ...options, clock: systemClock, timers: systemTimers })
  const measure = new Measure({ sender })
  const it = await new GatewayBench().start()
  it.service()
  const tell = () => measure.loads(it.gateway.services, systemClock.monotonicMs())
  tell()
  const held = it.fetch('/services/a/echo/')
  await expect.poll(() => it.gateway.requests).toBe(1)
  tell()
  await it.replica((_, response) => response.end())
  await (await held).text()
  await it.ended(1)
  tell()
  tell()
  sender.close()
  const samples: Sample['value'][] = []
  for await (const { batch } of reader) {
    samples.push(...batch.samples.map(({ value }) => value))
    break
  }
  expect(samples).toMatchObject([
    { value: { jobId: 'job-a-echo', queued: 1, inFlight: 0, arrivedTotal: 1n, replicas: [] } },
    { value: { queued: 0, inFlight: 0, oldestQueuedMs: undefined, replicas: [{ gang: 1 }] } },
  ])
  await it.close()
})

test('what is refused on the way to a service is measured as its own', async () => {
  const it = await new GatewayBench({ buffersMaxBytes: 10, jsonMaxBytes: 1_000 }).start()
  const reached: string[] = []
  await it.replica((request, response) => {
    reached.push(request.url ?? '')
    response.end()
  })
  const post = (init: RequestInit, tenant = 'a') =>
    it.fetch('/services/a/echo/', { method: 'POST', body: 'x'.repeat(11), ...init }, tenant)
  const statuses = [
    (await post({})).status,
    (await post({ body: '', headers: { 'x-sai-class': 'no-such' } })).status,
    (await post({ body: '' }, 'b')).status,
  ]
  expect(statuses).toEqual([503, 400, 404])
  const told = it.measured.map((one) => {
    const { jobId, tenant, class: name, outcome, httpStatus } = recordOf(one)
    return { reason: one.reason, jobId, tenant, class: name, outcome, httpStatus }
  })
  const mine = { jobId: 'job-a-echo', tenant: 'a' }
  const { SHED, CALLER_ERROR } = Outcome
  expect(told).toEqual([
    { ...mine, reason: 'GATEWAY_FULL', class: 'standard', outcome: SHED, httpStatus: 503 },
    { ...mine, reason: 'CLASS_UNKNOWN', class: '', outcome: CALLER_ERROR, httpStatus: 400 },
    // Nobody learns from it whether there is such a service.
    {
      reason: 'SERVICE_NOT_FOUND',
      jobId: '',
      tenant: '',
      class: '',
      outcome: CALLER_ERROR,
      httpStatus: 404,
    },
  ])
  expect(reached).toEqual([])
  await it.close()
})
