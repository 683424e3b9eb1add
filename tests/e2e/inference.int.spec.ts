import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { requestId, submit } from '../support/digits.ts'
import { GatewayProcess } from '../support/gateway.ts'
import { Platform } from '../support/platform.ts'
import { until } from '../support/until.ts'
import { prepareQueue } from './node-faults.ts'

/** Answers with its pid after 20 ms; ends what it has at SIGTERM. */
const SERVER = `
let streams = 0
const server = require('http').createServer((request, response) => {
  request.resume()
  if (request.url === '/stream') {
    streams += 1
    response.write('begun')
    response.on('close', () => { streams -= 1 })
  } else if (request.url === '/streams') response.end(String(streams))
  else setTimeout(() => response.end(String(process.pid)), 20)
})
server.listen(Number(process.env.PORT))
process.on('SIGTERM', () => { server.close(() => process.exit(0)); server.closeIdleConnections() })
`
const NODE = process.execPath

const description = (name: string) =>
  stringify({
    apiVersion: 'serverlessai.job/v1',
    kind: 'Job',
    metadata: { name },
    spec: {
      type: 'Inference',
      queue: 'team-a',
      command: [NODE, '-e', SERVER],
      resources: { devices: 1, cpu: '100m', memory: '128Mi' },
      replicas: { min: 0, max: 3, initial: 0 },
      serve: { concurrency: 8, drain: '1s', readiness: { httpGet: '/', period: '100ms' } },
    },
  })

let platform: Platform
let gateway: GatewayProcess
let jobId: string

beforeAll(async () => {
  platform = await Platform.start({ nodes: 2, devicesPerNode: 2 })
  await prepareQueue(platform)
  gateway = await GatewayProcess.start(platform)
  jobId = await submit(platform.as('team-a'), description('echo'))
}, 200_000)
afterAll(async () => {
  await gateway.stop()
  await platform.close()
})

const open = (path: string, at = gateway.url) => {
  const tokens = JSON.parse(readFileSync(join(platform.dataDir, 'tokens.json'), 'utf8'))
  const headers = { authorization: `Bearer ${tokens.tenants['team-a']}` }
  return fetch(`${at}${path}`, { method: 'POST', body: 'x', headers })
}
const ask = async (at = gateway.url, path = '/services/team-a/echo/') => {
  const answer = await open(path, at)
  return { status: answer.status, text: await answer.text() }
}
const scale = async (wanted: number) => {
  const { jobs } = platform.as('team-a')
  await jobs.scaleJob({ requestId: requestId(), jobId, wanted, automatic: false })
}
const ready = (count: number) =>
  until(
    `${count} replicas are ready`,
    async () => {
      const { jobs } = platform.as('team-a')
      const { job } = await jobs.getJob({ jobId, minPosition: '' })
      return (job?.scale?.ready === count && job.scale.draining === 0) || undefined
    },
    { timeoutMs: 90_000 },
  )

describe('an Inference job behind the gateway', () => {
  it('holds requests while it has no replica, and answers them when there is one', async () => {
    const held = [ask(), ask(), ask()]
    await scale(1)
    for (const { status } of await Promise.all(held)) expect(status).toBe(200)
    await ready(1)
  }, 120_000)

  it('is behind the edge of the platform as well', async () => {
    expect((await ask(platform.edge)).status).toBe(200)
  })

  it('ends the streams of a gateway that is killed, and is there for the next one', async () => {
    const stream = await open('/services/team-a/echo/stream')
    const reader = stream.body?.getReader()
    expect(Buffer.from((await reader?.read())?.value ?? '').toString()).toBe('begun')
    await gateway.stop('SIGKILL')
    await expect(reader?.read()).rejects.toThrow()
    await gateway.spawn()
    const none = async () => {
      const { text } = await ask(gateway.url, '/services/team-a/echo/streams')
      return text === '0' || undefined
    }
    await until('the replica knows of no stream', none, { timeoutMs: 30_000 })
  }, 120_000)

  it('loses no request while replicas come, drain and go', async () => {
    const seen = new Set<string>()
    const statuses = new Map<number, number>()
    let stop = false
    const callers = Array.from({ length: 4 }, async () => {
      while (!stop) {
        const { status, text } = await ask()
        seen.add(text)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      }
    })
    for (const count of [3, 1, 2, 1]) {
      await scale(count)
      await ready(count)
    }
    stop = true
    await Promise.all(callers)
    expect([...statuses.keys()]).toEqual([200])
    expect(seen.size).toBeGreaterThanOrEqual(3)
  }, 240_000)

  it('goes to zero and comes back', async () => {
    await scale(0)
    await ready(0)
    const held = ask()
    await scale(1)
    expect((await held).status).toBe(200)
  }, 120_000)

  it('is not found any more when its job has ended', async () => {
    const { jobs } = platform.as('team-a')
    await jobs.cancelJob({ requestId: requestId(), jobId })
    const gone = async () => {
      const { status, text } = await ask()
      return status === 404 && text.includes('SERVICE_NOT_FOUND') ? true : undefined
    }
    await until('the service is gone', gone, { timeoutMs: 30_000 })
  }, 60_000)
})
