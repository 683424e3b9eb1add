import { TaskReadinessChanged } from '@serverless-ai/contracts/events/v1/pool_manager'
import { describe, expect, it } from 'vitest'
import { publish, snapshotFeed } from '../adapters/public-events.ts'
import { poolDecider } from './decider.ts'
import { desiredSet } from './desired.ts'
import type { PoolCommand } from './messages.ts'
import type { ReportedExecution } from './model.ts'
import type { PoolState } from './state.ts'

const AT_MS = 1_700_000_000_000
const KEY = { jobId: 's', gang: 3, generation: 1, rank: 0 }
const readiness = {
  httpGet: '/healthz',
  periodMs: 1_000,
  timeoutMs: 1_000,
  failureThreshold: 3,
  successThreshold: 1,
}

/** A node with one replica that runs. */
class Pool {
  state: PoolState = poolDecider.initial()
  readonly told: TaskReadinessChanged[] = []
  #reports = 0
  readonly #featureLevel: number

  constructor(featureLevel = 2) {
    this.#featureLevel = featureLevel
    const inventory = {
      ...{ cpuMillis: 1_000, memoryMib: 1_024, devices: [], address: '10.0.0.1' },
      ...{ portFirst: 20_000, portLast: 20_009, labels: {}, agentVersion: '', isolation: '' },
    }
    const node = { nodeId: 'n1', supervisorSession: 's1', inventory, clockSkewMs: 0 }
    this.does({ type: 'RegisterNode', ...node, leaseMs: 15_000 })
    const { rank: _, ...of } = KEY
    const grant = {
      ...{ ...of, tenant: 'a', nodes: ['n1'], nodeOfRank: [0], deviceIndexes: [] },
      ...{ rank0Ports: [20_003], devicesPerTask: 0, cpuMillis: 0, memoryMib: 0 },
      exclusive: false,
    }
    this.does({ type: 'TakeGrant', grant })
    const launch = { command: ['x'], env: {}, rankEnv: [{}], workspace: '', stopGraceMs: 0 }
    this.does({ type: 'TakeContract', contract: { ...of, ...launch, logMaxBytes: 0, readiness } })
    this.reports({})
  }

  does(command: PoolCommand): readonly string[] {
    const context = { atMs: AT_MS, nonce: '', featureLevel: this.#featureLevel }
    const decision = poolDecider.decide(command, this.state, context)
    if (!decision.accepted) throw new Error(decision.refusal.reason)
    for (const event of decision.events) {
      this.state = poolDecider.evolve(this.state, event, AT_MS)
      for (const { type, payload } of publish(event, this.state, AT_MS)) {
        if (type.endsWith('.TaskReadinessChanged')) {
          this.told.push(TaskReadinessChanged.decode(payload))
        }
      }
    }
    return decision.events.map(({ type }) => type).filter((type) => type !== 'ReportTaken')
  }

  reports(more: Partial<ReportedExecution>): readonly string[] {
    this.#reports += 1
    const base = { key: KEY, state: 'RUNNING', startedMs: AT_MS, exit: null } as const
    return this.does({
      ...{ type: 'ReportExecutions', nodeId: 'n1', supervisorSession: 's1' },
      ...{ number: this.#reports, appliedRevision: 0, lines: [] },
      executions: [{ ...base, ...more }],
    })
  }

  ready(ready: boolean): readonly string[] {
    return this.reports({ readiness: { ready, cause: ready ? '' : '503', atMs: AT_MS } })
  }
}

describe('readiness', () => {
  it('is asked for at the first port of rank 0', () => {
    const { state } = new Pool()
    const [task] = desiredSet(state, state.nodes.get('n1')!)
    expect(task?.readiness).toEqual({ ...readiness, port: 20_003 })
  })

  it('is told when it changes, with where requests go', () => {
    const pool = new Pool()
    // Why it is not ready yet is news: somebody waits for it.
    expect(pool.ready(false)).toEqual(['TaskReadinessObserved'])
    expect(pool.ready(false)).toEqual([])
    expect(pool.ready(true)).toEqual(['TaskReadinessObserved'])
    expect(pool.ready(true)).toEqual([])
    const where = { address: '10.0.0.1', ports: [20_003], nodeId: 'n1', tenant: 'a' }
    expect(pool.told).toMatchObject([{ ready: false }, { ...KEY, ...where, ready: true }])
    expect(pool.ready(false)).toEqual(['TaskReadinessObserved'])
    expect(pool.told.at(-1)).toMatchObject({ ready: false, cause: '503' })
  })

  it('ends with the task, whatever ends it, and it is said before', () => {
    const exit = { cause: 'EXITED', exitCode: 1, signal: '', message: 'gone', atMs: 1 } as const
    const ends: ((pool: Pool) => readonly string[])[] = [
      (pool) => pool.reports({ state: 'EXITED', exit }),
      (pool) => {
        const release = { jobId: 's', gang: 3, throughGeneration: 1, cause: 'DRAINED' }
        return pool.does({ type: 'TakeRelease', release })
      },
      (pool) => pool.does({ type: 'LoseNode', nodeId: 'n1', registration: 1, silentMs: 9 }),
    ]
    for (const end of ends) {
      const pool = new Pool()
      pool.ready(true)
      expect(end(pool)).toContain('TaskReadinessObserved')
      expect(pool.told.map(({ ready }) => ready)).toEqual([true, false])
    }
  })

  it('is in the feed and in the state that is stored', () => {
    const pool = new Pool()
    pool.ready(true)
    const types = [...snapshotFeed(pool.state)].map(({ type }) => type.split('.').at(-1))
    expect(types).toContain('TaskReadinessChanged')
    const json = JSON.stringify(poolDecider.toJson(pool.state))
    const again = poolDecider.fromJson(JSON.parse(json))
    expect(JSON.stringify(poolDecider.toJson(again))).toBe(json)
  })

  it('is not recorded while a version that does not know it may lead', () => {
    expect(new Pool(1).ready(true)).toEqual([])
  })
})

describe('a notice', () => {
  const { rank: _, ...of } = KEY
  const notice = { id: 'c-1', kind: 'checkpoint', deadlineMs: AT_MS }
  const take = (generation = 1): PoolCommand => {
    return { type: 'TakeNotice', ...of, generation, notice }
  }

  it('is given once, to the generation that runs', () => {
    const pool = new Pool()
    expect(pool.does(take(2))).toEqual([])
    expect(pool.does(take())).toEqual(['NoticeGiven'])
    expect(pool.does(take())).toEqual([])
    const [task] = desiredSet(pool.state, pool.state.nodes.get('n1')!)
    expect(task?.notice).toEqual(notice)
    const json = JSON.stringify(poolDecider.toJson(pool.state))
    expect(JSON.stringify(poolDecider.toJson(poolDecider.fromJson(JSON.parse(json))))).toBe(json)
  })

  it('leaves room for the generation that follows a change of size', () => {
    const pool = new Pool()
    const release = { jobId: 's', gang: 3, throughGeneration: 1, cause: 'RESIZE' }
    pool.does({ type: 'TakeRelease', release })
    expect(pool.state.gangs.get('s/3')?.finished).toBe(false)
    expect(pool.does(take())).toEqual([])
  })
})
