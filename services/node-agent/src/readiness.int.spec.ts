import { rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { keyPath } from './core/keys.ts'
import {
  assignment,
  buildPackage,
  eventually,
  killHard,
  recordOf,
  script,
  taskKey,
} from './testing/harness.ts'
import { TestNode } from './testing/harness-node.ts'

let node: TestNode
const KEY = taskKey()

beforeAll(buildPackage)
beforeEach(async () => {
  node = await TestNode.create()
})
afterEach(() => node.dispose())

/** A port that nobody listens at. */
function freePort(): Promise<number> {
  const server = createServer()
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

/** A server that is ready while a file says so. */
const SERVER = `
  const fs = require('node:fs')
  const ready = () => fs.existsSync(process.env.TMPDIR + '/ready')
  require('node:http').createServer((request, response) => {
    response.statusCode = ready() ? 200 : 503
    response.end()
  }).listen(Number(process.env.PORT), '127.0.0.1')`

const probeOf = (port: number) => ({
  probe: { $case: 'httpGet', value: '/healthz' } as const,
  port,
  periodMs: 100,
  timeoutMs: 1_000,
  failureThreshold: 2,
  successThreshold: 1,
})
const readyFile = () => join(node.dataDir, 'work', 'tasks', keyPath(KEY), 'tmp', 'ready')
const readiness = () => node.pool.status(KEY)?.readiness

it('asks a server whether it is ready, and says when that changes', async () => {
  await node.start()
  const port = await freePort()
  const env = { PORT: String(port) }
  node.pool.want([assignment(script(SERVER), { env, readiness: probeOf(port) })])
  const first = await node.pool.until('not ready', () => readiness())
  expect(first.ready).toBe(false)
  await node.pool.until('503', () => readiness()?.cause === 'GET /healthz: 503')
  const file = readyFile()
  writeFileSync(file, '')
  await node.pool.until('ready', () => readiness()?.ready === true)
  expect(readiness()).toMatchObject({ cause: '' })
})

it('keeps what was found when the agent dies, and goes on asking', async () => {
  const local = await node.start()
  const port = await freePort()
  const env = { PORT: String(port) }
  node.pool.want([assignment(script(SERVER), { env, readiness: probeOf(port) })])
  await node.pool.until('asked', () => readiness())
  const file = readyFile()
  writeFileSync(file, '')
  await node.pool.until('ready', () => readiness()?.ready === true)
  const { agentPid } = recordOf(local)
  const reports = node.pool.reports.length
  killHard(agentPid)
  await eventually('another agent', () => ![0, agentPid].includes(recordOf(local).agentPid))
  await node.pool.until('a stream', () => node.pool.hellos.length === 2)
  const since = () => node.pool.reports.slice(reports).flatMap(({ executions }) => executions)
  rmSync(file)
  await node.pool.until('not ready', () => readiness()?.ready === false)
  // At no moment was it said that nothing is known.
  expect(since().every((status) => status.readiness !== undefined)).toBe(true)
})

it('tells a running task of a planned change, in a file', async () => {
  await node.start()
  const program = `
    const fs = require('node:fs')
    const look = () => {
      if (!fs.existsSync(process.env.SAI_NOTICE)) return setTimeout(look, 20)
      const notice = JSON.parse(fs.readFileSync(process.env.SAI_NOTICE, 'utf8'))
      const line = { kind: 'progress', step: 1, notice: notice.id, deadlineMs: notice.deadlineMs }
      fs.appendFileSync(process.env.SAI_REPORT, JSON.stringify(line) + '\\n')
      setTimeout(look, 60_000)
    }
    look()`
  const task = assignment(script(program))
  node.pool.want([task])
  await node.pool.until('runs', () => (node.pool.status(KEY)?.pid ?? 0) > 0)
  const notice = { id: 'c-1', kind: 'checkpoint', deadlineMs: 1_700_000_000_000n }
  node.pool.want([{ ...task, notice }])
  const [line] = await node.pool.until(
    'obeyed',
    () => node.pool.lines.length > 0 && node.pool.lines,
  )
  expect(JSON.parse(line?.json ?? '')).toMatchObject({ notice: 'c-1', deadlineMs: 1.7e12 })
})
