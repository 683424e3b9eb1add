import { expect, test } from 'vitest'
import { poolDecider } from './decider.ts'
import { desiredSet } from './desired.ts'
import type { PoolCommand, PoolEvent } from './messages.ts'
import type { Contract, ExecutionKey, Grant, Inventory, TaskExit } from './model.ts'
import { ENDED_EXECUTIONS_MAX, findExecution, type PoolState } from './state.ts'

const AT_MS = 1_700_000_000_000
const inventory: Inventory = {
  cpuMillis: 1_000,
  memoryMib: 1_024,
  devices: [],
  address: '127.0.0.1',
  portFirst: 20_000,
  portLast: 20_009,
  labels: {},
  agentVersion: '0.1.0',
  isolation: 'none',
}

/** A pool to which commands are given one after another. */
class Pool {
  state: PoolState = poolDecider.initial()

  /** Names of the events, or the refusal. */
  does(command: PoolCommand): readonly string[] {
    return this.events(command).map((event) => event.type)
  }

  events(command: PoolCommand): readonly PoolEvent[] {
    const context = { atMs: AT_MS, nonce: '' }
    const decision = poolDecider.decide(command, this.state, context)
    if (!decision.accepted) throw new Error(decision.refusal.reason)
    const after: PoolEvent[] = []
    for (const event of decision.events) {
      this.state = poolDecider.evolve(this.state, event, AT_MS)
    }
    for (const event of poolDecider.afterBatch?.(this.state, context)?.events ?? []) {
      this.state = poolDecider.evolve(this.state, event, AT_MS)
      after.push(event)
    }
    return [...decision.events, ...after]
  }

  register(nodeId: string, supervisorSession = 's1'): readonly string[] {
    return this.does({
      type: 'RegisterNode',
      nodeId,
      supervisorSession,
      inventory,
      clockSkewMs: 0,
      leaseMs: 15_000,
    })
  }

  lose(nodeId: string): readonly string[] {
    const registration = this.state.nodes.get(nodeId)?.registration ?? 0
    return this.does({ type: 'LoseNode', nodeId, registration, silentMs: 21_500 })
  }

  desired(nodeId: string): readonly ExecutionKey[] {
    const node = this.state.nodes.get(nodeId)
    return node === undefined ? [] : desiredSet(this.state, node).map((task) => task.key)
  }
}

const grant = (generation: number, nodes: readonly string[], jobId = 'j'): PoolCommand => {
  const granted: Grant = {
    jobId,
    gang: 0,
    generation,
    tenant: 'team-a',
    nodes,
    nodeOfRank: nodes.map((_, index) => index),
    deviceIndexes: nodes.map(() => 0),
    rank0Ports: [],
    devicesPerTask: 1,
    cpuMillis: 0,
    memoryMib: 0,
    exclusive: false,
  }
  return { type: 'TakeGrant', grant: granted }
}
const contract = (generation: number, ranks: number, jobId = 'j'): PoolCommand => {
  const prepared: Contract = {
    jobId,
    gang: 0,
    generation,
    command: ['train'],
    env: {},
    rankEnv: Array.from({ length: ranks }, (_, rank) => ({ RANK: String(rank) })),
    workspace: '',
    stopGraceMs: 0,
    logMaxBytes: 0,
  }
  return { type: 'TakeContract', contract: prepared }
}
const release = (throughGeneration: number, cause = 'RECOVER', jobId = 'j'): PoolCommand => {
  return { type: 'TakeRelease', release: { jobId, gang: 0, throughGeneration, cause } }
}
const key = (rank: number, generation = 1, jobId = 'j') => ({ jobId, gang: 0, generation, rank })
const exit: TaskExit = { cause: 'EXITED', exitCode: 0, signal: '', message: '', atMs: AT_MS }
const ended = (nodeId: string, number: number, ...keys: readonly ExecutionKey[]): PoolCommand => ({
  type: 'ReportExecutions',
  nodeId,
  supervisorSession: 's1',
  number,
  appliedRevision: 0,
  executions: keys.map((each) => ({ key: each, state: 'EXITED', startedMs: AT_MS, exit })),
  lines: [],
})

test('nothing is launched without a grant, without a contract, or twice', () => {
  const pool = new Pool()
  pool.register('n1')
  expect(pool.does(contract(1, 1))).toEqual(['ContractPrepared'])
  expect(pool.desired('n1')).toEqual([])
  expect(pool.does(grant(1, ['n1']))).toEqual(['GangGranted', 'RanksAssigned'])
  expect(pool.desired('n1')).toEqual([key(0)])
  expect(pool.does(contract(1, 1))).toEqual([])
  expect(pool.does(grant(1, ['n1']))).toEqual([])
})

test('a generation at or below the released one is never launched and given back at once', () => {
  const pool = new Pool()
  pool.register('n1')
  pool.does(release(2))
  expect(pool.does(contract(2, 1))).toEqual([])
  expect(pool.does(grant(2, ['n1']))).toEqual(['GangGranted', 'DevicesFreed'])
  expect(pool.desired('n1')).toEqual([])
})

test('a release of ranks that were never sent frees them at once', () => {
  const pool = new Pool()
  pool.register('n1')
  pool.does(grant(1, ['n1']))
  expect(pool.does(release(1))).toEqual(['GangReleased', 'DevicesFreed'])
})

test('a release of ranks that may run frees nothing yet', () => {
  const pool = new Pool()
  pool.register('n1')
  pool.does(contract(1, 1))
  pool.does(grant(1, ['n1']))
  expect(pool.does(release(1))).toEqual(['GangReleased'])
  expect(pool.desired('n1')).toEqual([])
  expect(pool.does(ended('n1', 1, key(0)))).toEqual(['TaskExited', 'DevicesFreed', 'ReportTaken'])
})

test('a lost node ends its tasks for their jobs and keeps their devices', () => {
  const pool = new Pool()
  pool.register('n1')
  pool.does(contract(1, 1))
  pool.does(grant(1, ['n1']))
  expect(pool.lose('n1')).toEqual(['NodeLost', 'TaskExited'])
  pool.does(release(1))
  pool.register('n2')
  pool.does(contract(2, 1))
  expect(pool.does(grant(2, ['n2']))).toEqual(['GangGranted', 'RanksAssigned'])
  pool.register('n1')
  expect(pool.desired('n1')).toEqual([])
  // What the older generation did meanwhile is no status of the job.
  expect(pool.does(ended('n1', 1, key(0)))).toEqual(['DevicesFreed', 'ReportTaken'])
  expect(findExecution(pool.state, key(0))?.phase).toMatchObject({ exit: { cause: 'NODE_LOST' } })
})

test('a rank placed on a node that is lost or unknown ends at once, and is free', () => {
  const pool = new Pool()
  pool.register('n1')
  pool.lose('n1')
  pool.does(contract(1, 2))
  const happened = pool.does(grant(1, ['n1', 'n9']))
  expect(happened).toEqual([
    'GangGranted',
    'RanksAssigned',
    'TaskExited',
    'TaskExited',
    'DevicesFreed',
    'DevicesFreed',
  ])
})

test('a rank waits for a node that is only disconnected', () => {
  const pool = new Pool()
  pool.register('n1')
  pool.does({ type: 'DisconnectNode', nodeId: 'n1', registration: 1, cause: 'cut' })
  pool.does(contract(1, 1))
  pool.does(grant(1, ['n1']))
  pool.register('n1', 's2')
  expect(pool.desired('n1')).toEqual([key(0)])
})

test('a decision about a node that registered meanwhile is refused', () => {
  const pool = new Pool()
  pool.register('n1')
  pool.register('n1')
  const stale = { nodeId: 'n1', registration: 1 }
  expect(() => pool.does({ type: 'LoseNode', ...stale, silentMs: 1 })).toThrow('NODE_IS_BACK')
  expect(() => pool.does({ type: 'DisconnectNode', ...stale, cause: '' })).toThrow('NODE_IS_BACK')
})

test('a report of an older supervisor is refused', () => {
  const pool = new Pool()
  pool.register('n1', 's2')
  expect(() => pool.does(ended('n1', 1))).toThrow('STALE_SESSION')
})

test('an end that an older session left is waited for while it is not told yet', () => {
  const pool = new Pool()
  pool.register('n1')
  pool.does(contract(1, 1))
  pool.does(grant(1, ['n1']))
  pool.register('n1', 's2')
  const report = (number: number, state: 'STOPPING' | 'EXITED'): PoolCommand => {
    const shutdown: TaskExit = { ...exit, cause: 'NODE_SHUTDOWN', exitCode: -1 }
    const told = state === 'EXITED' ? shutdown : null
    const executions = [{ key: key(0), state, startedMs: AT_MS, exit: told }]
    const from = { nodeId: 'n1', supervisorSession: 's2', appliedRevision: 0, lines: [] }
    return { type: 'ReportExecutions', number, executions, ...from }
  }
  expect(pool.does(report(1, 'STOPPING'))).toEqual(['ReportTaken'])
  pool.does(report(2, 'EXITED'))
  expect(findExecution(pool.state, key(0))?.phase).toMatchObject({
    at: 'Freed',
    exit: { cause: 'NODE_SHUTDOWN' },
  })
})

test('a contract that does not fit its gang breaks a promise', () => {
  const pool = new Pool()
  pool.does(grant(1, ['n1', 'n2']))
  expect(() => pool.does(contract(1, 3))).toThrow('contract of j/0 cannot be used')
  const other = new Pool()
  other.does(contract(1, 3))
  expect(() => other.does(grant(1, ['n1', 'n2']))).toThrow('other ranks than its contract')
})

test('after a gap a gang the scheduler no longer knows is over', () => {
  const pool = new Pool()
  pool.register('n1')
  pool.does(contract(1, 1))
  pool.does(grant(1, ['n1']))
  const happened = pool.does({ type: 'ReplaceSchedule', grants: [], releases: [] })
  expect(happened).toEqual(['GangReleased'])
  expect(pool.desired('n1')).toEqual([])
})

test('finished gangs are forgotten, oldest first, when there are too many executions', () => {
  const pool = new Pool()
  pool.register('n1')
  let number = 0
  const ranks = 400
  const nodes = Array.from({ length: ranks }, () => 'n1')
  const finish = (jobId: string): readonly string[] => {
    pool.does(contract(1, ranks, jobId))
    pool.does(grant(1, nodes, jobId))
    number += 1
    const keys = nodes.map((_, rank) => key(rank, 1, jobId))
    pool.does(ended('n1', number, ...keys))
    return pool.does(release(1, 'FINISHED', jobId))
  }
  for (let i = 0; i < ENDED_EXECUTIONS_MAX / ranks; i += 1) {
    expect(finish(`j${i}`)).toEqual(['GangReleased'])
  }
  expect(finish('j-last')).toEqual(['GangReleased', 'GangPruned'])
  expect(pool.state.gangs.has('j0/0')).toBe(false)
  expect(pool.state.gangs.has('j-last/0')).toBe(true)
  expect(pool.state.settledExecutions).toBe(ENDED_EXECUTIONS_MAX)
})
