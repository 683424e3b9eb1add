import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterEach, expect, test } from 'vitest'
import { Outcome } from '../app/meter.ts'
import { GatewayBench } from '../testing/bench.ts'

/** JSON of an answer; what is not there is undefined in an expectation. */
interface Json {
  readonly [name: string]: Json
}
const jsonOf = async (answer: Response): Promise<Json> => (await answer.json()) as Json

const open: GatewayBench[] = []
const bench = async (...args: ConstructorParameters<typeof GatewayBench>) => {
  const made = await new GatewayBench(...args).start()
  open.push(made)
  return made
}
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

const textOf = async (request: IncomingMessage): Promise<string> => {
  let text = ''
  for await (const piece of request) text += String(piece)
  return text
}

const echo = async (request: IncomingMessage, response: ServerResponse) => {
  const body = await textOf(request)
  const { method, url, headers } = request
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ method, url, headers, body }))
}

test("a request reaches a replica, without what is the gate's own", async () => {
  const it = await bench()
  await it.replica(echo)
  const answer = await it.fetch('/services/a/echo/x/y?z=1', {
    method: 'POST',
    body: 'hello',
    headers: { 'x-sai-tenant': 'b', 'x-forwarded-for': '6.6.6.6', 'x-mine': '1' },
  })
  expect(answer.status).toBe(200)
  const seen = await jsonOf(answer)
  expect(seen).toMatchObject({ method: 'POST', url: '/x/y?z=1', body: 'hello' })
  expect(seen['headers']).toMatchObject({
    'x-sai-tenant': 'a',
    'x-mine': '1',
    'x-forwarded-for': '127.0.0.1',
    'x-request-id': answer.headers.get('x-request-id'),
  })
  expect(seen['headers']).not.toHaveProperty('authorization')
  await it.ended(1)
  expect(it.measured[0]).toMatchObject({
    outcome: Outcome.OK,
    httpStatus: 200,
    tenant: 'a',
    gang: 1,
    attempts: 1,
    fromZero: false,
  })
})

test('streamed bodies pass in both directions', async () => {
  const it = await bench()
  await it.replica((request, response) => {
    request.pipe(response)
  })
  const pieces = ['one ', 'two ', 'three']
  const body = new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece))
      controller.close()
    },
  })
  const init: RequestInit & { duplex: 'half' } = { method: 'POST', body, duplex: 'half' }
  const answer = await it.fetch('/services/a/echo/', init)
  expect(await answer.text()).toBe('one two three')
})

test("without a token, with another tenant's, or for what is not there: refused", async () => {
  const it = await bench()
  await it.replica(echo)
  const codeOf = async (answer: Response) => {
    const { error } = await jsonOf(answer)
    return [answer.status, error?.['status'], error?.['details']?.[0]?.['reason']]
  }
  expect(await codeOf(await fetch(`${it.url}/services/a/echo/`))).toEqual([
    401,
    'UNAUTHENTICATED',
    'UNAUTHENTICATED',
  ])
  const hidden = [404, 'NOT_FOUND', 'SERVICE_NOT_FOUND']
  expect(await codeOf(await it.fetch('/services/a/echo/', {}, 'b'))).toEqual(hidden)
  expect(await codeOf(await it.fetch('/services/a/none/'))).toEqual(hidden)
  expect(await codeOf(await it.fetch('/nothing'))).toEqual([404, 'NOT_FOUND', 'ROUTE_NOT_FOUND'])
})

test('who is here before the event that tells of its service is not sent away', async () => {
  const it = await bench()
  const early = it.fetch('/services/a/echo/', { method: 'POST', body: 'hello' })
  // The gateway has both requests by the time that it answers the second one.
  expect((await it.fetch('/nothing')).status).toBe(404)
  await it.replica((request, response) => void request.pipe(response))
  const answer = await early
  expect([answer.status, await answer.text()]).toEqual([200, 'hello'])
})

test('requests for a service at zero are held, told, and sent to its first replica', async () => {
  const it = await bench()
  it.service()
  const waiting = [1, 2, 3].map((n) => it.fetch(`/services/a/echo/${n}`))
  await expect.poll(() => it.demands.at(-1)?.queued).toBe(3)
  expect(it.demands[0]).toMatchObject({ jobId: 'job-a-echo', queued: 1 })
  await it.replica(echo)
  const answers = await Promise.all(waiting)
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
  await it.ended(3)
  expect(it.measured.every(({ fromZero }) => fromZero)).toBe(true)
})

test('a replica takes no more than its limit; the others wait', async () => {
  const it = await bench()
  let now = 0
  let most = 0
  const pending: (() => void)[] = []
  await it.replica(
    (_, response) => {
      now += 1
      most = Math.max(most, now)
      pending.push(() => {
        now -= 1
        response.end('done')
      })
    },
    { concurrency: 2 },
  )
  const answers = Array.from({ length: 6 }, () => it.fetch('/services/a/echo/'))
  await expect.poll(() => it.gateway.requests).toBe(6)
  await expect.poll(() => pending.length).toBe(2)
  for (let served = 0; served < 6; served += 1) {
    await expect.poll(() => pending.length).toBeGreaterThan(0)
    pending.shift()?.()
  }
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(6).fill(200))
  expect(most).toBe(2)
})

test('a held request ends with a code when its time is over', async () => {
  const it = await bench()
  it.service()
  const answer = await it.fetch('/services/a/echo/', { headers: { 'x-sai-timeout-ms': '50' } })
  expect(answer.status).toBe(504)
  expect(await answer.text()).toContain('HOLD_EXPIRED')
  await it.ended(1)
  expect(it.measured[0]).toMatchObject({ outcome: Outcome.DEADLINE, gang: undefined, attempts: 0 })
})

test('a replica that cannot be reached costs nobody a request', async () => {
  const it = await bench()
  const gone = await it.replica(echo)
  it.replicas[0]?.close()
  await it.replica(echo)
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      it.fetch(`/services/a/echo/${n}`, { method: 'POST', body: 'x' }),
    ),
  )
  expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
  await it.ended(20)
  expect(it.measured.some(({ attempts }) => attempts > 1)).toBe(true)
  expect(it.measured.every(({ gang }) => gang !== gone.gang)).toBe(true)
})

test('what may have been done is made again only where that is the same as once', async () => {
  const it = await bench()
  await it.replica((request) => request.socket.destroy())
  await it.replica(echo)
  const statuses = async (method: string) => {
    const found: number[] = []
    for (let n = 0; n < 6; n += 1) {
      const answer = await it.fetch('/services/a/echo/', { method })
      found.push(answer.status)
      await answer.arrayBuffer()
    }
    return found
  }
  expect(await statuses('GET')).toEqual(Array(6).fill(200))
  expect(await statuses('POST')).toContain(502)
})

test('a caller that goes away ends its request at the replica', async () => {
  const it = await bench()
  let left = 0
  await it.replica((request, response) => {
    response.write('first')
    request.socket.once('close', () => {
      left += 1
    })
  })
  const controller = new AbortController()
  const answer = await it.fetch('/services/a/echo/', { signal: controller.signal })
  expect(answer.status).toBe(200)
  controller.abort()
  await expect.poll(() => left).toBe(1)
  await it.ended(1)
  expect(it.measured[0]).toMatchObject({ outcome: Outcome.CANCELLED })
})

test('a draining replica gets nothing new and ends what it has', async () => {
  const it = await bench()
  let finish: (() => void) | undefined
  const old = await it.replica((_, response) => {
    response.write('begun ')
    finish = () => response.end('old')
  })
  const running = await it.fetch('/services/a/echo/')
  it.service({ replicas: [{ ...old, draining: true }] })
  await it.replica((_, response) => response.end('new'))
  expect(await (await it.fetch('/services/a/echo/')).text()).toBe('new')
  it.service({ replicas: it.table.list()[0]!.replicas.filter(({ gang }) => gang !== old.gang) })
  finish?.()
  expect(await running.text()).toBe('begun old')
  await it.ended(2)
  expect(it.measured.map(({ outcome }) => outcome)).toEqual([Outcome.OK, Outcome.OK])
})
