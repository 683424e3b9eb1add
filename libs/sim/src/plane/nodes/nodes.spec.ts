import { beforeEach, describe, expect, test } from 'vitest'
import type { Observation } from '../../check/types.ts'
import { createWorld, type World } from '../../world/index.ts'
import { ScriptedPool, type WantedTask, wantedTask } from '../testing/scripted-pool.ts'
import type { SimNode } from '../types.ts'
import { createNode, Gangs, scriptOf } from './index.ts'

let world: World
let pool: ScriptedPool
let nodes: SimNode[]
let seen: Observation[]

function createFleet(seed: number): void {
  world = createWorld({ seed })
  pool = new ScriptedPool(world)
  seen = []
  const gangs = new Gangs(world, world.random.fork())
  nodes = [1, 2].map((number) =>
    createNode(
      {
        world,
        name: `node-${number}`,
        devices: 4,
        model: 'A100-40G',
        poolAddress: pool.address,
        token: 'token',
        observe: (observation) => seen.push(observation),
        leaseMs: pool.leaseMs,
        scripts: scriptOf,
      },
      gangs,
    ),
  )
  pool.process.start()
  for (const { supervisor } of nodes) supervisor.start()
}

beforeEach(() => createFleet(7))

const pass = (seconds: number) => world.time.runUntil(world.time.nowMs + seconds * 1_000)
const node = (number: number): SimNode => {
  const found = nodes[number - 1]
  if (found === undefined) throw new Error(`no node ${number}`)
  return found
}
const started = () => seen.filter(({ kind }) => kind === 'task-started')
const ended = () => seen.flatMap((each) => (each.kind === 'task-ended' ? [each] : []))
const steps = (kind: string): number[] =>
  [...pool.lines.values()].flatMap((json) => {
    const line: { kind?: string; step?: number } = JSON.parse(json)
    return line.kind === kind && line.step !== undefined ? [line.step] : []
  })

const pair = (more: Partial<WantedTask> = {}): WantedTask[] => [
  wantedTask({ worldSize: 2, devices: [0, 1], ...more }),
  wantedTask({ worldSize: 2, devices: [3], rank: 1, node: 'node-2', ...more }),
]

test('a task runs on its devices, reports, and ends', async () => {
  await pass(2)
  pool.want([wantedTask({ devices: [1, 2], script: { seconds: 12, checkpointEvery: 4 } })])
  await pass(20)
  expect(started()).toMatchObject([
    { node: 'node-1', devices: [1, 2], exclusive: false, key: { generation: 1, rank: 0 } },
  ])
  expect(ended()).toMatchObject([{ node: 'node-1', cause: 'exit 0' }])
  expect(pool.states().get('j-0-1/1/0')).toBe('ended 0')
  expect(steps('checkpoint')).toEqual([4, 8, 12])
  expect([...pool.lines.values()].at(-1)).toContain('"kind":"result"')
  expect([...pool.lines.values()].join()).toContain('"path":"j-0-1/gen-1/step-4"')
})

test('a program ends with its own code; one that nobody knows is not started', async () => {
  await pass(2)
  pool.want([
    wantedTask({ script: { exitCode: 3, seconds: 1 } }),
    wantedTask({ jobId: 'j-0-2', command: ['python', 'train.py'] }),
  ])
  await pass(5)
  expect(pool.states().get('j-0-1/1/0')).toBe('ended 3')
  expect(pool.states().get('j-0-2/1/0')).toBe('ended -1')
  expect(started()).toHaveLength(1)
})

test('ranks work only while all of them are there', async () => {
  await pass(2)
  pool.want(pair({ script: { seconds: 100 } }))
  await pass(22)
  const before = steps('progress').length
  expect(before).toBeGreaterThan(2)
  node(2).supervisor.kill()
  await pass(60)
  expect(steps('progress')).toHaveLength(before)
  expect(node(1).running()).toBe(1)
  expect(node(2).running()).toBe(0)
})

test('ranks that cannot reach each other stand still, and go on when they can', async () => {
  await pass(2)
  pool.want(pair({ script: { seconds: 30 } }))
  await pass(12)
  world.network.partition('node-1', 'node-2')
  await pass(60)
  expect(Math.max(...steps('progress'))).toBeLessThan(30)
  world.network.heal('node-1', 'node-2')
  await pass(60)
  expect(ended().map(({ cause }) => cause)).toEqual(['exit 0', 'exit 0'])
})

test('a later generation goes on from the checkpoint it is given', async () => {
  await pass(2)
  pool.want([wantedTask({ script: { seconds: 100, checkpointEvery: 10 } })])
  await pass(25)
  const resumeFrom = 'j-0-1/gen-1/step-20'
  pool.want([wantedTask({ generation: 2, resumeFrom, script: { seconds: 100 } })])
  await pass(40)
  expect(ended()).toMatchObject([{ key: { generation: 1 }, cause: 'SIGTERM' }])
  expect(Math.max(...steps('progress'))).toBeGreaterThan(50)
})

test('a checkpoint that is not there ends the program', async () => {
  await pass(2)
  pool.want([wantedTask({ resumeFrom: 'j-0-1/gen-7/step-20' })])
  await pass(5)
  expect(pool.states().get('j-0-1/1/0')).toBe('ended 2')
})

test('a stubborn task dies when its grace is over', async () => {
  await pass(2)
  pool.want([wantedTask({ script: { stubborn: true, seconds: 100 } })])
  await pass(5)
  const atMs = world.time.nowMs
  pool.want([])
  await pass(10)
  expect(ended()).toMatchObject([{ cause: 'SIGKILL' }])
  expect((ended()[0]?.atMs ?? 0) - atMs).toBeGreaterThan(2_900)
})

describe('an agent that', () => {
  test('dies is started again, its tasks do not notice', async () => {
    await pass(2)
    pool.want([wantedTask({ script: { seconds: 30 } })])
    await pass(5)
    node(1).agent.kill()
    await pass(2)
    expect(node(1).agent.state).toBe('running')
    expect(pool.hellos).toBe(3)
    await pass(40)
    expect(started()).toHaveLength(1)
    expect(pool.states().get('j-0-1/1/0')).toBe('ended 0')
  })

  test('hangs keeps its tasks; an exclusive one is killed at the end of the lease', async () => {
    await pass(2)
    pool.want([
      wantedTask({ script: { seconds: 300 } }),
      wantedTask({ jobId: 'j-0-2', exclusive: true, script: { seconds: 300 } }),
    ])
    await pass(5)
    node(1).hang()
    const atMs = world.time.nowMs
    await pass(30)
    expect(ended()).toMatchObject([{ key: { jobId: 'j-0-2' }, cause: 'SIGKILL' }])
    expect((ended()[0]?.atMs ?? 0) - atMs).toBeLessThan(pool.leaseMs + 100)
    node(1).agent.resume()
    await pass(15)
    expect(node(1).running()).toBe(1)
    expect(pool.states().get('j-0-2/1/0')).toBe('ended -1 SIGKILL')
  })
})

describe('a supervisor that dies', () => {
  test('takes its tasks and its agent with it; they are not run twice', async () => {
    await pass(2)
    pool.want([wantedTask({ script: { seconds: 300 } })])
    await pass(20)
    node(1).supervisor.kill()
    expect(ended()).toMatchObject([{ cause: 'SIGKILL' }])
    expect(node(1).agent.state).toBe('stopped')
    await pass(5)
    node(1).supervisor.start()
    await pass(10)
    expect(started()).toHaveLength(1)
    expect(pool.states().get('j-0-1/1/0')).toBe('ended -1')
    expect(Math.max(...steps('progress'))).toBe(15)
  })

  test('reports afterwards what its tasks had said and nobody had heard', async () => {
    await pass(2)
    pool.want([wantedTask({ script: { seconds: 300 } })])
    await pass(6)
    node(1).hang()
    await pass(14)
    expect(Math.max(...steps('progress'))).toBe(5)
    node(1).supervisor.kill()
    node(1).supervisor.start()
    await pass(5)
    expect(steps('progress')).toEqual([5, 10, 15])
  })

  test('is there again after a loss of power, with what it had recorded', async () => {
    await pass(2)
    pool.want([wantedTask({ script: { seconds: 300 } })])
    await pass(10)
    node(1).powerCycle(8_000)
    await pass(1)
    expect(node(1).supervisor.state).toBe('stopped')
    await pass(12)
    expect(node(1).supervisor.state).toBe('running')
    expect(pool.states().get('j-0-1/1/0')).toBe('ended -1')
    expect(started()).toHaveLength(1)
  })
})

test('the same seed gives the same happenings', async () => {
  const run = async (seed: number): Promise<string> => {
    createFleet(seed)
    await pass(2)
    pool.want(pair({ script: { seconds: 60, failShare: 0.01 } }))
    await pass(80)
    return world.trace.digest()
  }
  const first = await run(11)
  expect(await run(11)).toBe(first)
  expect(await run(12)).not.toBe(first)
})
