import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { readText } from './adapters/os/files.ts'
import { signal } from './adapters/os/proc.ts'
import { localNodeStatus, stopLocalNode } from './app/local/local-nodes.ts'
import {
  assignment,
  buildPackage,
  eventually,
  killHard,
  lives,
  processOf,
  recordOf,
  STATE,
  script,
  taskKey,
  textOf,
} from './testing/harness.ts'
import { CAUSE, TestNode } from './testing/harness-node.ts'

const WAITS = script('setInterval(() => {}, 1000)')
/** Ticks of a clock in the report file: shows that a task was not disturbed. */
const TICKS = script(`
  let n = 0
  setInterval(() => require('node:fs').appendFileSync(process.env.SAI_REPORT,
    JSON.stringify({ kind: 'tick', n: n++, pid: process.pid }) + '\\n'), 50)`)

let node: TestNode

beforeAll(buildPackage)
beforeEach(async () => {
  node = await TestNode.create()
})
afterEach(() => node.dispose())

describe('an agent that dies', () => {
  it('is back within 2 s, and its tasks go on undisturbed', async () => {
    const local = await node.start()
    node.pool.want([assignment(TICKS, { exclusive: true })])
    const { pid } = await node.running()
    const { agentPid } = recordOf(local)
    const killedMs = performance.now()
    killHard(agentPid)
    await eventually('another agent', () => ![0, agentPid].includes(recordOf(local).agentPid))
    expect(performance.now() - killedMs).toBeLessThan(2000)
    const again = await node.pool.until('hello again', () => node.pool.hellos[1])
    expect(again.supervisorSession).toBe(node.pool.hellos[0]?.supervisorSession)
    expect(again.highest?.position).toBe(2n)
    const seen = node.pool.lines.length
    await node.pool.until('more ticks', () => node.pool.lines.length > seen + 5)
    const ticks = node.pool.lines.map(({ json }) => JSON.parse(json))
    expect(ticks.map((tick) => tick.n)).toEqual(ticks.map((_, i) => i))
    expect(new Set(ticks.map((tick) => tick.pid))).toEqual(new Set([pid]))
    expect(node.pool.status(taskKey())?.state).toBe(STATE.RUNNING)
  })

  it('hands its unacknowledged report to the next one, unchanged', async () => {
    const local = await node.start()
    await node.pool.until('first report', () => node.pool.reports[0])
    node.pool.acknowledges = false
    node.pool.want([assignment(['true'])])
    const held = await node.pool.until('a report', () => node.pool.reports[1])
    killHard(recordOf(local).agentPid)
    const again = await node.pool.until('the same again', () => node.pool.reports[2])
    expect(again).toEqual(held)
    node.pool.acknowledges = true
    killHard(recordOf(local).agentPid)
    expect(await node.exited()).toMatchObject({ cause: CAUSE.EXITED, exitCode: 0 })
    const numbers = node.pool.reports.map(({ number }) => Number(number))
    expect(numbers.slice(0, 4)).toEqual([1, 2, 2, 2])
  })

  it('tries for ever with a token that nobody knows, and takes the right one', async () => {
    const local = await node.start({ token: 'wrong' })
    const log = join(local.nodeDir, 'agent.log')
    await eventually('it is said', () => textOf(log).includes('UNAUTHENTICATED'))
    expect(node.pool.hellos).toEqual([])
    expect((await node.start()).pid).toBe(local.pid)
    await node.pool.until('hello', () => node.pool.hellos[0])
  })

  it('is not needed to kill an exclusive task at the lease deadline', async () => {
    const local = await node.start()
    const kept = taskKey(1, 1)
    node.pool.want([assignment(WAITS, { exclusive: true }), assignment(WAITS, { key: kept })])
    const exclusive = processOf((await node.running()).pid)
    const other = processOf((await node.running(kept)).pid)
    const { agentPid } = recordOf(local)
    const stoppedMs = performance.now()
    signal(agentPid, 'SIGSTOP')
    await eventually('the exclusive task is killed', () => !lives(exclusive))
    const afterMs = performance.now() - stoppedMs
    // The lease of 2 s counts from the last heartbeat, at most a third of it before the stop.
    expect(afterMs).toBeGreaterThan(1000)
    // A loaded machine may add to it; the kill budget of the leader is 5 s.
    expect(afterMs).toBeLessThan(3500)
    expect(lives(other)).toBe(true)
    signal(agentPid, 'SIGCONT')
    expect(await node.exited()).toMatchObject({ cause: CAUSE.LEASE_LAPSED, signal: 'SIGKILL' })
    // It is still wanted, and is not run again under the same generation.
    node.pool.want([assignment(WAITS, { exclusive: true }), assignment(WAITS, { key: kept })])
    const reports = node.pool.reports.length
    await node.pool.until('a later report', () => node.pool.reports.length > reports)
    expect(node.pool.status(taskKey())?.state).toBe(STATE.EXITED)
    expect(node.pool.status(kept)?.state).toBe(STATE.RUNNING)
  })
})

describe('a supervisor that dies', () => {
  it('takes its tasks and its agent with it, and nothing is run twice', async () => {
    const local = await node.start()
    const text = `
      const { spawn } = require('node:child_process')
      const child = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' })
      console.log(child.pid)
      setInterval(() => {}, 1000)`
    node.pool.want([assignment(script(text))])
    const { pid } = await node.running()
    const id = node.pool.askLog(taskKey(), { follow: true })
    const said = await node.pool.until('its child', () => node.pool.logs.get(id)?.text)
    const processes = [pid, recordOf(local).agentPid, local.pid].map(processOf)
    const escaped = processOf(Number(said))
    killHard(local.pid)
    await eventually('all are dead', () => !processes.some(lives))
    expect(lives(escaped)).toBe(true)
    expect(localNodeStatus({ dataDir: node.dataDir, nodeId: 'n1' }).state).toBe('stopped')

    const again = await node.start()
    expect(again.adopted).toBe(false)
    expect(lives(escaped)).toBe(false)
    const hello = await node.pool.until('hello again', () => node.pool.hellos[1])
    expect(hello.supervisorSession).not.toBe(node.pool.hellos[0]?.supervisorSession)
    const exit = await node.exited()
    expect(exit.cause).toBe(CAUSE.SUPERVISOR_LOST)
    expect(node.pool.reports.at(-1)?.number).toBeLessThan(5n)
  })

  it('is started anew when it is killed while it starts', async () => {
    const starting = node.start()
    const config = join(node.dataDir, 'nodes', 'n1', 'config.json')
    const started = () =>
      readdirSync('/proc').find((pid) => readText(`/proc/${pid}/cmdline`)?.includes(config))
    await eventually('a supervisor', () => started() !== undefined)
    const killed = Number(started())
    killHard(killed)
    const local = await starting
    expect(local.pid).not.toBe(killed)
    expect(localNodeStatus({ dataDir: node.dataDir, nodeId: 'n1' }).state).toBe('running')
    await node.pool.until('hello', () => node.pool.hellos[0])
  })

  it('owns its directory alone: a second one is refused, and a start adopts it', async () => {
    const local = await node.start()
    const main = fileURLToPath(new URL('../dist/supervisor.js', import.meta.url))
    const config = join(local.nodeDir, 'config.json')
    const second = spawnSync(process.execPath, [main, '--config', config], { encoding: 'utf8' })
    expect(second.status).toBe(75)
    expect(second.stderr).toContain(`NODE_DIRECTORY_IN_USE: ${local.nodeDir}`)
    expect(second.stderr).toContain(`supervisor process ${local.pid}`)
    const adopted = await node.start()
    expect(adopted).toMatchObject({ adopted: true, pid: local.pid })
  })

  it('takes another configuration to its agent without touching tasks', async () => {
    const local = await node.start()
    node.pool.want([assignment(WAITS)])
    const task = processOf((await node.running()).pid)
    const adopted = await node.start({ labels: { zone: 'b' } })
    expect(adopted).toMatchObject({ adopted: true, pid: local.pid })
    const hello = await node.pool.until('hello again', () => node.pool.hellos[1])
    expect(hello.inventory?.labels).toEqual({ zone: 'b' })
    expect(lives(task)).toBe(true)
  })
})

describe('a control plane that is away', () => {
  it('kills no task that may go on, and finds it again', async () => {
    node.pool.leaseMs = 1000
    await node.start()
    node.pool.want([assignment(WAITS)])
    const task = processOf((await node.running()).pid)
    const { address } = node.pool
    await node.pool.close()
    // Three leases: nothing about the task may depend on them.
    await new Promise((resolve) => setTimeout(resolve, 3 * node.pool.leaseMs))
    expect(lives(task)).toBe(true)
    const { pool } = node
    await pool.listenAgain(address)
    await pool.until('hello again', () => pool.hellos[1])
    const reports = pool.reports.length
    pool.want([assignment(WAITS), assignment(['true'], { key: taskKey(1, 1) })])
    await node.exited(taskKey(1, 1))
    expect(pool.reports.length).toBeGreaterThan(reports)
    expect(pool.status(taskKey())).toMatchObject({ state: STATE.RUNNING, pid: task.pid })
  })

  it('starts nothing without a lease', async () => {
    node.pool.answers = false
    await node.start()
    node.pool.want([assignment(['true'])])
    await node.pool.until('it is known', () => node.pool.status(taskKey()))
    await node.pool.until('heartbeats', () => node.pool.heartbeats > 2)
    expect(node.pool.status(taskKey())?.state).toBe(STATE.PREPARING)
    node.pool.answers = true
    expect(await node.exited()).toMatchObject({ cause: CAUSE.EXITED, exitCode: 0 })
  })
})

it('a node directory that cannot be written delays what is wanted, no more', async () => {
  const local = await node.start()
  node.pool.want([assignment(WAITS)])
  const task = processOf((await node.running()).pid)
  const journal = join(local.nodeDir, 'desired.json')
  rmSync(journal)
  mkdirSync(join(journal, 'in-the-way'), { recursive: true })
  const other = assignment(['true'], { key: taskKey(1, 1) })
  node.pool.want([assignment(WAITS), other])
  const log = join(local.nodeDir, 'supervisor.log')
  await eventually('it is said', () => textOf(log).includes('journal not written'))
  expect(node.pool.status(taskKey(1, 1))).toBeUndefined()
  expect(lives(task)).toBe(true)
  rmSync(journal, { recursive: true })
  expect(await node.exited(taskKey(1, 1))).toMatchObject({ cause: CAUSE.EXITED, exitCode: 0 })
})

describe('an ordered shutdown', () => {
  it('ends tasks within 5 s, also stubborn ones, and delivers why', async () => {
    await node.start()
    const stubborn = script(
      'process.on("SIGTERM", () => {}); console.log(1); setInterval(() => {}, 1000)',
    )
    const other = taskKey(1, 1)
    node.pool.want([
      assignment(stubborn, { stopGraceMs: 60_000n }),
      assignment(WAITS, { key: other }),
    ])
    await node.running()
    await node.running(other)
    const id = node.pool.askLog(taskKey(), { follow: true })
    await node.pool.until('it listens', () => node.pool.logs.get(id)?.text)
    const startedMs = performance.now()
    const name = { dataDir: node.dataDir, nodeId: 'n1' }
    expect(await stopLocalNode(name)).toBe('stopped')
    // 3 s of grace, delivery, and what a loaded machine adds to 5 s.
    expect(performance.now() - startedMs).toBeLessThan(6500)
    expect(await node.exited()).toMatchObject({ cause: CAUSE.NODE_SHUTDOWN, signal: 'SIGKILL' })
    expect(await node.exited(other)).toMatchObject({
      cause: CAUSE.NODE_SHUTDOWN,
      signal: 'SIGTERM',
    })
    expect(await stopLocalNode(name)).toBe('absent')
  })
})
