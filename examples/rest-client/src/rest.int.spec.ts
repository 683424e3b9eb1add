import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import createClient from 'openapi-fetch'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { followJob, submitJob, type Target } from './follow-job.ts'
import type { paths } from './gen/api.ts'
import { apiTypes } from './generate.ts'
import { requestId } from './request-id.ts'

const MAIN = fileURLToPath(new URL('../../../apps/all-in-one/dist/main.js', import.meta.url))
const GENERATED = fileURLToPath(new URL('gen/api.ts', import.meta.url))

const bindable = (port: number) =>
  new Promise<boolean>((resolve) => {
    const server = createServer().once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })

/** Four free ports side by side, below those that the system gives out. */
async function freePorts(): Promise<number> {
  for (;;) {
    const first = 10_000 + Math.floor(Math.random() * 20_000)
    const all = await Promise.all([0, 1, 2, 3].map((n) => bindable(first + n)))
    if (all.every(Boolean)) return first
  }
}

const dataDir = mkdtempSync(join(tmpdir(), 'sai-rest-'))
let platform: ReturnType<typeof spawn>
let admin: Target
let team: Target

beforeAll(async () => {
  const port = await freePorts()
  const flags = ['--port', String(port), '--nodes', '1', '--no-quickstart']
  const ports = ['--task-port-first', String(30_100 + (port % 800) * 3)]
  platform = spawn(process.execPath, [MAIN, '--data', dataDir, ...flags, ...ports], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ready = async (): Promise<boolean> => {
    const answer = await fetch(`http://127.0.0.1:${port + 1}/readyz`).catch(() => undefined)
    return answer?.status === 200
  }
  while (!(await ready())) await new Promise((resolve) => setTimeout(resolve, 50))
  const tokens = JSON.parse(readFileSync(join(dataDir, 'tokens.json'), 'utf8'))
  const url = `http://127.0.0.1:${port + 2}`
  admin = { url, token: tokens.admin }
  team = { url, token: tokens.tenants['team-a'] }
})
afterAll(async () => {
  const ended = new Promise((resolve) => platform.once('exit', resolve))
  platform.kill('SIGTERM')
  await ended
  rmSync(dataDir, { recursive: true, force: true })
})

const api = ({ url, token }: Target) =>
  createClient<paths>({ baseUrl: url, headers: { authorization: `Bearer ${token}` } })

const manifest = (name: string, script: string) =>
  JSON.stringify({
    apiVersion: 'serverlessai.job/v1',
    kind: 'Job',
    metadata: { name },
    spec: {
      queue: 'team-a',
      tasks: 1,
      command: ['sh', '-c', script],
      resources: { devices: 1, cpu: '50m', memory: '32Mi' },
    },
  })

const AWAY = JSON.stringify({ error: { code: 503, message: 'the gateway stops' } })

/** Cuts the body of each answer after some bytes, and is away for the next request. */
const cutting = (bytesMax: number, cuts: { count: number; away: number }) => {
  let away = false
  return async (request: Request): Promise<Response> => {
    if (away) {
      away = false
      cuts.away += 1
      return new Response(AWAY, { status: 503, headers: { 'content-type': 'application/json' } })
    }
    const answer = await fetch(request)
    return cutAfter(bytesMax, answer, () => {
      cuts.count += 1
      away = true
    })
  }
}

/** The answer, whose connection breaks after some bytes of events. */
function cutAfter(bytesMax: number, answer: Response, onCut: () => void): Response {
  const type = answer.headers.get('content-type') ?? ''
  if (!type.startsWith('text/event-stream') || answer.body === null) return answer
  let bytes = 0
  const cut = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, controller) {
      bytes += piece.length
      if (bytes <= bytesMax) return controller.enqueue(piece)
      onCut()
      controller.error(new TypeError('the connection broke'))
    },
  })
  const { status, headers } = answer
  return new Response(answer.body.pipeThrough(cut), { status, headers })
}

test('the client is the one that the document gives', async () => {
  expect(readFileSync(GENERATED, 'utf8')).toBe(await apiTypes())
})

describe('the API by HTTP and JSON', () => {
  test('an operator makes a queue, a tenant sees it', async () => {
    const queue = { name: 'team-a', tenant: 'team-a', weight: 2 }
    const body = { requestId: requestId(), queue }
    const made = await api(admin).POST('/v1/queues', { body })
    expect(made.data?.queue).toMatchObject({ ...queue, priority: 0 })
    const seen = await api(team).GET('/v1/queues', {
      params: { query: { pageSize: 10, minPosition: made.data?.position ?? '' } },
    })
    expect(seen.data?.queues).toMatchObject([{ queue: { name: 'team-a' }, queuedJobs: 0 }])
    const refused = await api(team).POST('/v1/queues', { body })
    expect(refused.response.status).toBe(403)
    expect(refused.error?.error).toMatchObject({
      code: 403,
      status: 'PERMISSION_DENIED',
      details: [{ reason: 'PERMISSION_DENIED', domain: 'serverlessai.dev' }],
    })
  })

  test('a job is submitted and watched; cuts lose and repeat nothing', async () => {
    const jobId = await submitJob(team, manifest('watched', 'sleep 1; echo done'))
    const whole: string[] = []
    const broken: string[] = []
    const cuts = { count: 0, away: 0 }
    const states = async (target: Target, positions: string[]) => {
      const found: string[] = []
      for await (const job of followJob(target, jobId, positions)) found.push(job.state ?? '')
      return found
    }
    const flaky = { ...team, fetch: cutting(2_500, cuts) }
    const [one, other] = await Promise.all([states(team, whole), states(flaky, broken)])
    expect(one.at(-1)).toBe('STATE_SUCCEEDED')
    expect(other.at(-1)).toBe('STATE_SUCCEEDED')
    expect(cuts.count).toBeGreaterThan(0)
    expect(cuts.away).toBeGreaterThan(0)
    expect(new Set(broken).size).toBe(broken.length)
    // The two began at different moments; from then on they saw the same.
    const from = whole.indexOf(broken[0]!)
    expect(from).toBeGreaterThanOrEqual(0)
    expect(broken).toEqual(whole.slice(from))
  })

  test('what is wrong is refused with the field; what is not there with 404', async () => {
    const client = api(team)
    const bad = await client.POST('/v1/jobs', { body: { manifest: 'kind: [' } })
    expect(bad.response.status).toBe(400)
    const call = async (path: string, init: RequestInit = {}) => {
      const headers = { authorization: `Bearer ${team.token}` }
      const answer = await fetch(`${team.url}${path}`, { headers, ...init })
      const text = await answer.text()
      return [answer.status, text] as const
    }
    const cases: readonly (readonly [string, RequestInit, number, string])[] = [
      ['/v1/jobs?pageSize=x', {}, 400, 'INVALID_ARGUMENT'],
      ['/v1/jobs?noSuch=1', {}, 400, 'noSuch'],
      ['/v1/jobs?states=STATE_RUNNING&states=STATE_NONE', {}, 400, 'INVALID_ARGUMENT'],
      ['/v1/jobs', { method: 'POST', body: '{"manifest":7}' }, 400, 'manifest'],
      ['/v1/jobs', { method: 'POST', body: '[]' }, 400, 'JSON object'],
      ['/v1/jobs', { method: 'POST', body: '{"nope":1}' }, 400, 'nope'],
      ['/v1/jobs', { method: 'DELETE' }, 405, 'METHOD_NOT_ALLOWED'],
      ['/v1/jobs/none', {}, 404, 'NOT_FOUND'],
      ['/v1/jobs/%ff', {}, 400, 'TARGET_INVALID'],
      ['/v1/jobs/a%2fb', {}, 400, 'TARGET_INVALID'],
      ['/v1/nothing', {}, 404, 'ROUTE_NOT_FOUND'],
      ['/v1/jobs', { headers: {} }, 401, 'UNAUTHENTICATED'],
      ['/v1/feeds/scheduler/snapshot', {}, 403, 'PERMISSION_DENIED'],
    ]
    for (const [path, init, status, text] of cases) {
      expect(await call(path, init), path).toEqual([status, expect.stringContaining(text)])
    }
  })

  test("another tenant's job does not exist", async () => {
    const tokens = JSON.parse(readFileSync(join(dataDir, 'tokens.json'), 'utf8'))
    const other = { ...team, token: tokens.tenants['team-b'] }
    const jobId = await submitJob(team, manifest('secret', 'true'))
    const params = { path: { jobId } }
    const { response } = await api(other).GET('/v1/jobs/{jobId}', { params })
    expect(response.status).toBe(404)
    const mine = await api(team).GET('/v1/jobs/{jobId}', { params })
    // 64-bit integers are texts; what is at its default is there, too.
    expect(mine.data?.job).toMatchObject({
      jobId,
      tenant: 'team-a',
      submittedMs: expect.stringMatching(/^\d{13}$/),
      message: expect.any(String),
    })
  })

  test('logs are a stream of events', async () => {
    const jobId = await submitJob(team, manifest('talks', 'echo hello'))
    for await (const job of followJob(team, jobId)) void job
    const params = { path: { jobId }, query: { rank: 0 } }
    const { data } = await api(team).GET('/v1/jobs/{jobId}/logs', { params, parseAs: 'text' })
    const [first] = [...String(data).matchAll(/^data: (.*)$/gm)].map(([, json = '']) =>
      JSON.parse(json),
    )
    expect(Buffer.from(first.data, 'base64').toString()).toBe('hello\n')
  })
})
