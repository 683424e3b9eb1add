import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
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
beforeAll(buildPackage)
beforeEach(async () => {
  node = await TestNode.create()
})
afterEach(() => node.dispose())

const measured = { telemetryPeriodMs: 200 }
const start = () => node.start({ ...measured, telemetryAddress: node.pool.address })

/** Holds 64 MiB, computes in bursts, half of it in a child; reports its steps. */
const WORKLOAD = `
  const { spawn } = require('node:child_process')
  const burn = (ms) => { const end = Date.now() + ms; while (Date.now() < end); }
  const held = Buffer.alloc(64 * 1024 * 1024, 1)
  if (process.argv[1] === 'child') setInterval(() => burn(100), 200)
  else {
    spawn(process.execPath, ['-e', process.env.TEXT, 'child'])
    let step = 0
    setInterval(() => {
      burn(100)
      step += 1
      const line = JSON.stringify({ kind: 'progress', step }) + '\\n'
      require('node:fs').appendFileSync(process.env.SAI_REPORT, line)
    }, 200)
  }`
const workload = () => assignment(script(WORKLOAD), { env: { TEXT: WORKLOAD } })

it('measures a task with its children, and its node', async () => {
  await start()
  node.pool.want([workload()])
  await node.running()
  const { pool } = node
  const of = (find: (sample: (typeof pool.taskSamples)[number]) => boolean) => () =>
    pool.taskSamples.findLast(find)
  const second = { cores: 1_000_000n }
  const cpu = await pool.until(
    'both have computed for a second',
    of(({ cpuUsTotal }) => (cpuUsTotal ?? 0n) > second.cores),
  )
  expect(cpu).toMatchObject({ ...taskKey(), tenant: 'team-a', nodeId: 'n1' })
  expect(['cgroup-v1', 'cgroup-v2', 'procfs']).toContain(cpu.reading?.source)
  const memory = await pool.until(
    'the memory of both',
    of(({ memoryUsedMib }) => (memoryUsedMib ?? 0n) >= 128n),
  )
  expect(memory.memoryPeakMib).toBeGreaterThanOrEqual(memory.memoryUsedMib ?? 0n)
  expect(Number(memory.memoryUsedMib)).toBeLessThan(1_024)
  await pool.until(
    'threads of both',
    of(({ threads }) => (threads ?? 0) > 10),
  )
  await pool.until(
    'steps',
    of(({ step }) => (step ?? 0n) >= 5n),
  )
  const counters = pool.taskSamples.flatMap(({ cpuUsTotal }) => cpuUsTotal ?? [])
  expect(counters).toEqual(counters.toSorted((a, b) => Number(a - b)))
  const nodes = pool.batches.flatMap(({ samples }) =>
    samples.flatMap(({ value }) => (value?.$case === 'node' ? [value.value] : [])),
  )
  expect(nodes.at(-1)).toMatchObject({ nodeId: 'n1' })
  expect(nodes.some(({ cpuUsTotal = 0n }) => cpuUsTotal > 0n)).toBe(true)
  expect(new Set(pool.batches.map(({ source }) => source))).toEqual(new Set(['node/n1']))
}, 60_000)

it('goes on after the death of the agent as another boot, and ends with the task', async () => {
  const started = await start()
  node.pool.want([workload()])
  await node.running()
  const { pool } = node
  await pool.until('samples', () => pool.taskSamples.length > 3)
  const [first] = pool.batches
  killHard(recordOf(started).agentPid)
  const again = await pool.until('another boot', () =>
    pool.batches.findLast(({ bootId, samples }) => {
      const task = samples.some(({ value }) => value?.$case === 'task')
      return bootId !== first?.bootId && task
    }),
  )
  expect(again.source).toBe('node/n1')
  pool.want([])
  await node.exited()
  const last = () => pool.batches.at(-1)
  const { seq = 0n } = last() ?? {}
  await pool.until('a batch without the task', () => {
    const batch = last()
    const task = batch?.samples.some(({ value }) => value?.$case === 'task')
    return (batch?.seq ?? 0n) > seq + 2n && task === false
  })
}, 60_000)

it('measures nothing where no address is given', async () => {
  await node.start()
  node.pool.want([assignment(script('setTimeout(() => {}, 60_000)'))])
  await node.running()
  let beats = node.pool.heartbeats
  beats += 2
  await eventually('two heartbeats more', () => node.pool.heartbeats >= beats)
  expect(node.pool.batches).toEqual([])
}, 60_000)
