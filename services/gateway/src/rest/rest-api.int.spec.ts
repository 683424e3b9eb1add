import { gzipSync } from 'node:zlib'
import { JobServiceService, type ListJobsRequest } from '@serverless-ai/contracts/job/v1/job'
import { PoolServiceService } from '@serverless-ai/contracts/pool/v1/pool'
import { Peers } from '@serverless-ai/hosting/process'
import type { Logger, TransportServer } from '@serverless-ai/kernel'
import { systemClock, systemRandomness, systemTimers } from '@serverless-ai/kernel/system'
import { memoryNetwork, rpcError, staticTokens } from '@serverless-ai/rpc'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { GatewayBench, tokenOf } from '../testing/bench.ts'
import { callsAs } from './call-as.ts'

const ADMIN = 'token-of-an-operator'
const OWNERS = '127.0.0.1:1'
const silent: Logger = { log: () => undefined, child: () => silent }
const authenticate = staticTokens([
  { token: ADMIN, principal: { subject: 'admin', tenant: '', roles: ['admin'] } },
  { token: tokenOf('a'), principal: { subject: 'token:a', tenant: 'a', roles: ['tenant'] } },
])
const never = (): never => {
  throw rpcError('PERMISSION_DENIED')
}

/** What reached the owner. */
const lists: ListJobsRequest[] = []
const submitted: string[] = []
const resumed: string[] = []

function addOwners(server: TransportServer): void {
  server.add(JobServiceService, {
    async submitJob({ manifest }) {
      submitted.push(manifest)
      return { job: undefined, position: 'mediator:0:1:1' }
    },
    async listJobs(request) {
      lists.push(request)
      return { jobs: [], nextPageToken: '', position: 'mediator:0:1:1' }
    },
    async *watchJob({ resumeAfter }) {
      resumed.push(resumeAfter)
      yield { job: undefined, position: 'mediator:0:9:4' }
    },
    getJob: never,
    cancelJob: never,
    scaleJob: never,
    updateService: never,
    explainJob: never,
  })
  server.add(PoolServiceService, {
    listNodes: never,
    listExecutions: never,
    async *readLogs() {
      yield {
        generation: 1,
        rank: 0,
        nodeId: 'n',
        data: Buffer.from('x'),
        firstFailing: false,
        note: '',
      }
    },
  })
}

let it: GatewayBench
let owners: TransportServer

beforeAll(async () => {
  const ports = {
    clock: systemClock,
    timers: systemTimers,
    randomness: systemRandomness,
    logger: silent,
  }
  const network = memoryNetwork({ timers: systemTimers })
  owners = network.server({ ...ports, authenticate })
  addOwners(owners)
  await owners.listen(OWNERS)
  const names = ['mediator', 'scheduler', 'pool-manager']
  const addresses = new Map(names.map((name) => [name, OWNERS]))
  const transport = network.transport()
  const peers = new Peers({ transport, ports, addresses, token: 't' })
  const callAs = callsAs({ peers, ports, authenticate }, transport)
  it = await new GatewayBench({}, ['a'], systemClock, callAs).start()
})
afterAll(async () => {
  await it.close()
  await owners.close(0)
})
beforeEach(() => {
  for (const list of [lists, submitted, resumed]) list.length = 0
})

/** Status, reason, fields that are named, and the whole text. */
async function ask(path: string, init: RequestInit = {}, token: string | undefined = tokenOf('a')) {
  const authorization = token === undefined ? undefined : `Bearer ${token}`
  const headers = { ...(authorization && { authorization }), ...init.headers }
  const answer = await fetch(`${it.url}${path}`, { ...init, headers })
  const text = await answer.text()
  const error = answer.status < 400 ? undefined : JSON.parse(text).error
  const [info, more] = error?.details ?? []
  const fields = (more?.fieldViolations ?? []).map(({ field }: { field: string }) => field)
  return { status: answer.status, reason: info?.reason, fields, text }
}

describe('a feed', () => {
  const SNAPSHOT = '/v1/feeds/nobody/snapshot'

  test.each([SNAPSHOT, '/v1/feeds/nobody/events'])(
    'of no service is not there: %s',
    async (path) => {
      const { status, reason, text } = await ask(path, {}, ADMIN)
      expect([status, reason]).toEqual([404, 'SERVICE_NOT_SERVED'])
      expect(text).toContain('mediator, scheduler, pool-manager')
    },
  )

  test('tells those who may not read feeds nothing else than any other', async () => {
    expect(await ask(SNAPSHOT)).toMatchObject({ status: 403, reason: 'PERMISSION_DENIED' })
    const stranger = await ask(SNAPSHOT, { headers: { authorization: 'Bearer x' } })
    expect(stranger).toMatchObject({ status: 401, reason: 'UNAUTHENTICATED' })
  })

  test('of a service that this gateway has no address of cannot be had now', async () => {
    const { status, text } = await ask('/v1/feeds/autoscaler/snapshot', {}, ADMIN)
    expect([status, text]).toEqual([503, expect.stringContaining('--peers.autoscaler')])
  })
})

describe('what is wrong in a query', () => {
  test.each([
    ['pageSize=abc', 'pageSize', '"abc"'],
    ['pageSize=-1', 'pageSize', 'out of range'],
    ['pageSize=', 'pageSize', '""'],
    ['pageSize=1e99', 'pageSize', 'out of range'],
    ['page_size=1.5', 'page_size', '1.5'],
    ['states=NOPE', 'states', 'STATE_RUNNING'],
    ['states=STATE_RUNNING&states=', 'states', 'STATE_RUNNING'],
    ['pageSize=1&pageSize=2', 'pageSize', 'twice'],
    ['noSuch=1', 'noSuch', 'no such field'],
  ])('is blamed on the parameter: %s', async (query, field, text) => {
    const found = await ask(`/v1/jobs?${query}`)
    expect(found).toMatchObject({ status: 400, reason: 'INVALID_ARGUMENT', fields: [field] })
    expect(JSON.parse(found.text).error.message).toContain(text)
    expect(found.text).not.toContain('body')
    expect(lists).toEqual([])
  })

  test('what is right there is understood', async () => {
    const query = 'pageSize=7&states=STATE_RUNNING&states=STATE_QUEUED'
    expect((await ask(`/v1/jobs?${query}`)).status).toBe(200)
    expect(lists).toMatchObject([{ pageSize: 7, states: [expect.anything(), expect.anything()] }])
  })

  test('what is wrong in a body is blamed on the body', async () => {
    const found = await ask('/v1/jobs', { method: 'POST', body: '{"manifest":7}' })
    expect(found).toMatchObject({ status: 400, fields: ['body'] })
    expect(found.text).toContain('manifest')
  })
})

describe('a body with a Content-Encoding', () => {
  const json = JSON.stringify({ manifest: 'kind: Job' })
  const post = (
    path: string,
    encoding: string,
    body: string | Buffer<ArrayBuffer> = gzipSync(json),
  ) => ask(path, { method: 'POST', body, headers: { 'content-encoding': encoding } })

  test.each(['gzip', 'br', 'deflate', 'zstd', 'identity, gzip', 'x'])(
    '%s is not taken',
    async (encoding) => {
      for (const path of ['/v1/jobs', '/v1/completions']) {
        const { status, text } = await post(path, encoding)
        expect([status, text]).toEqual([415, expect.stringContaining('ENCODING_NOT_SUPPORTED')])
      }
      expect(submitted).toEqual([])
    },
  )

  test('the answer says what is taken', async () => {
    const { headers } = await it.fetch('/v1/jobs', {
      method: 'POST',
      body: gzipSync(json),
      headers: { 'content-encoding': 'gzip' },
    })
    expect(headers.get('accept-encoding')).toBe('identity')
  })

  test('identity is none', async () => {
    expect((await post('/v1/jobs', 'Identity', json)).status).toBe(200)
    expect(submitted).toEqual(['kind: Job'])
  })
})

describe('Last-Event-ID', () => {
  const follow = (id: string, path = '/v1/jobs/j-1:watch') =>
    ask(path, { headers: { 'last-event-id': id } })

  test('of an event of this stream goes on behind it; without one it begins', async () => {
    for (const id of ['mediator:0:7:3', 'mediator:0:-1:0', '']) {
      const { status, text } = await follow(id)
      expect([status, text], id).toEqual([200, expect.stringContaining('id: mediator:0:9:4')])
    }
    expect(resumed).toEqual(['mediator:0:7:3', 'mediator:0:-1:0', ''])
  })

  test.each([
    'abc',
    '7',
    'scheduler:0:7:3',
    'mediator',
    'mediator:0',
    'mediator:0:7',
    'mediator:0:7:',
    'mediator:0:7:3:1',
    'mediator:0:07x:3',
    'mediator:-1:7:3',
    'mediator:0:-2:3',
    'mediator:0:7:-3',
    'mediator:0:1e3:3',
    'mediator:0:9999999999999999:3',
    'mediator:0:7:3, mediator:0:8:3',
    'Mediator:0:7:3',
    '%00',
    `mediator:0:${'7'.repeat(2_000)}:3`,
  ])('that no event of this stream had is refused: %s', async (id) => {
    const { status, reason, fields } = await follow(id)
    expect([status, reason, fields]).toEqual([400, 'POSITION_INVALID', ['Last-Event-ID']])
    expect(resumed).toEqual([])
  })

  test('is refused where the events of a stream have no ids', async () => {
    const path = '/v1/jobs/j-1/logs?rank=0'
    expect(await follow('', path)).toMatchObject({ status: 200 })
    expect(await follow('mediator:0:7:3', path)).toMatchObject({
      status: 400,
      reason: 'POSITION_INVALID',
      fields: ['Last-Event-ID'],
    })
  })
})
