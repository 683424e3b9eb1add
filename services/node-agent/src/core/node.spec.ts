import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ExecutionKey, keyText, NO_VERSION } from './keys.ts'
import {
  initialNode,
  leaseValid,
  type NodeEffect,
  type NodeInput,
  type NodeState,
  nextTickBootMs,
  probedTasks,
  statusesOf,
  step,
} from './node.ts'
import { type Assignment, exitOf } from './types.ts'

const key = (rank: number, generation = 1): ExecutionKey => ({
  jobId: 'j-0-a',
  gang: 0,
  generation,
  rank,
})

function task(rank: number, change: Partial<Assignment> = {}): Assignment {
  return {
    key: key(rank),
    tenant: 'team-a',
    command: ['true'],
    env: {},
    cpuMillis: 0,
    memoryMib: 0,
    ports: [],
    workspace: '',
    exclusive: false,
    stopGraceMs: 3000,
    logMaxBytes: 65_536,
    ...change,
  }
}

/** A node whose clock the test sets. */
class Rig {
  state: NodeState = initialNode(NO_VERSION, [])
  bootMs = 1000
  position = 0

  put(input: NodeInput): NodeEffect[] {
    return step(this.state, input, { bootMs: this.bootMs, wallMs: 50_000 + this.bootMs })
  }
  want(...assignments: Assignment[]): NodeEffect[] {
    this.position += 1
    const version = { epoch: '1', position: String(this.position) }
    return this.put({ type: 'desired', version, assignments, forget: [] })
  }
  lease(deadlineBootMs: number, setSeen = true): NodeEffect[] {
    return this.put({ type: 'lease', deadlineBootMs, setSeen })
  }
  run(assignment: Assignment): void {
    this.want(assignment)
    this.lease(5000)
    this.put({ type: 'prepared', key: assignment.key })
    this.put({ type: 'spawned', key: assignment.key, pid: 7 })
  }
  stateOf(rank: number): string | undefined {
    return statusesOf(this.state).find((status) => status.key.rank === rank)?.state
  }
}

describe('a node', () => {
  it('spawns a wanted task when it is prepared and a lease is valid, in either order', () => {
    const first = new Rig()
    expect(first.want(task(0))).toEqual([{ type: 'prepare', assignment: task(0) }])
    expect(first.lease(5000)).toEqual([])
    const spawn = [{ type: 'spawn', assignment: task(0) }]
    expect(first.put({ type: 'prepared', key: key(0) })).toEqual(spawn)
    const second = new Rig()
    second.want(task(0))
    expect(second.put({ type: 'prepared', key: key(0) })).toEqual([])
    expect(second.lease(5000)).toEqual(spawn)
  })

  it('spawns nothing on a lease of a stream that has not brought a desired set', () => {
    const rig = new Rig()
    rig.want(task(0))
    rig.put({ type: 'prepared', key: key(0) })
    expect(rig.lease(5000, false)).toEqual([])
    expect(rig.lease(5000, true)).toHaveLength(1)
  })

  it('ignores a desired set below the one it has journalled', () => {
    const rig = new Rig()
    rig.position = 9
    rig.run(task(0))
    const version = { epoch: '1', position: '3' }
    expect(rig.put({ type: 'desired', version, assignments: [], forget: [] })).toEqual([])
    expect(rig.stateOf(0)).toBe('RUNNING')
    const newer = { epoch: '2', position: '1' }
    expect(rig.put({ type: 'desired', version: newer, assignments: [], forget: [] })).toHaveLength(
      1,
    )
  })

  it('kills an exclusive task at the deadline, once, and lets the others go on', () => {
    const rig = new Rig()
    rig.run(task(0, { exclusive: true }))
    rig.want(task(0, { exclusive: true }), task(1))
    rig.put({ type: 'prepared', key: key(1) })
    rig.put({ type: 'spawned', key: key(1), pid: 8 })
    expect(nextTickBootMs(rig.state)).toBe(5000)
    rig.bootMs = 4999
    expect(rig.put({ type: 'tick' })).toEqual([])
    rig.bootMs = 5000
    const stop = { type: 'stop', key: key(0), graceMs: 0, cause: 'LEASE_LAPSED' }
    expect(rig.put({ type: 'tick' })).toEqual([stop])
    expect(nextTickBootMs(rig.state)).toBeUndefined()
    expect(rig.stateOf(1)).toBe('RUNNING')
  })

  it('kills an exclusive task that was already being stopped when the lease lapses', () => {
    const rig = new Rig()
    rig.run(task(0, { exclusive: true, stopGraceMs: 60_000 }))
    expect(rig.want()).toMatchObject([{ type: 'stop', graceMs: 60_000 }])
    rig.bootMs = 5000
    expect(rig.put({ type: 'tick' })).toMatchObject([{ graceMs: 0, cause: 'LEASE_LAPSED' }])
  })

  it('kills an exclusive task that was being spawned when the lease lapsed', () => {
    const rig = new Rig()
    rig.want(task(0, { exclusive: true }))
    rig.lease(5000)
    rig.put({ type: 'prepared', key: key(0) })
    rig.bootMs = 6000
    rig.put({ type: 'tick' })
    rig.lease(9000)
    const stop = { type: 'stop', key: key(0), graceMs: 0, cause: 'LEASE_LAPSED' }
    expect(rig.put({ type: 'spawned', key: key(0), pid: 7 })).toEqual([stop])
  })

  it('records what was no longer wanted before it ran, and what did not start', () => {
    const rig = new Rig()
    rig.want(task(0), task(1))
    expect(rig.want(task(1))).toMatchObject([{ type: 'record', exit: { cause: 'STOPPED' } }])
    const exit = exitOf('PREPARE_FAILED', 'disk full', 1)
    expect(rig.put({ type: 'ended', key: key(1), exit })).toEqual([
      { type: 'record', key: key(1), exit },
    ])
    expect(statusesOf(rig.state).map((status) => status.exit?.cause)).toEqual([
      'STOPPED',
      'PREPARE_FAILED',
    ])
  })

  it('forgets ended executions alone', () => {
    const rig = new Rig()
    rig.run(task(0))
    const forget = (position: string) =>
      rig.put({
        type: 'desired',
        version: { epoch: '2', position },
        assignments: [task(0)],
        forget: [key(0)],
      })
    expect(forget('1')).toEqual([])
    rig.put({ type: 'ended', key: key(0), exit: exitOf('EXITED', '', 1) })
    expect(forget('2')).toEqual([{ type: 'forget', key: key(0) }])
    expect(statusesOf(rig.state)).toEqual([])
  })

  it('ends everything at a shutdown and starts nothing any more', () => {
    const rig = new Rig()
    rig.run(task(0, { stopGraceMs: 60_000 }))
    rig.want(task(0), task(1))
    expect(rig.put({ type: 'shutdown', graceMs: 3000 })).toMatchObject([
      { type: 'stop', key: key(0), graceMs: 3000, cause: 'NODE_SHUTDOWN' },
      { type: 'record', key: key(1), exit: { cause: 'NODE_SHUTDOWN' } },
    ])
    expect(rig.want(task(0), task(2))).toEqual([])
  })
})

type Move =
  | { readonly kind: 'want'; readonly ranks: readonly number[]; readonly back: number }
  | { readonly kind: 'lease'; readonly forMs: number; readonly setSeen: boolean }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'finish'; readonly at: number }

const moves: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('want' as const),
      ranks: fc.uniqueArray(fc.integer({ min: 0, max: 3 }), { maxLength: 4 }),
      back: fc.constantFrom(0, 0, 0, 1, 3),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('lease' as const),
      forMs: fc.integer({ min: -100, max: 800 }),
      setSeen: fc.constantFrom(true, true, true, false),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      ms: fc.integer({ min: 1, max: 400 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('finish' as const), at: fc.nat(20) }) },
)

/** Plays moves against a world of processes and checks what must always hold. */
function play(history: readonly Move[]): void {
  const rig = new Rig()
  const spawned = new Set<string>()
  const pending: NodeInput[] = []
  const alive = new Map<string, Assignment>()
  const end = (key: ExecutionKey) =>
    pending.push({ type: 'ended', key, exit: exitOf('EXITED', '', 1) })
  const perform = (effects: readonly NodeEffect[]) => {
    for (const effect of effects) {
      if (effect.type === 'prepare') pending.push({ type: 'prepared', key: effect.assignment.key })
      if (effect.type === 'spawn') {
        const text = keyText(effect.assignment.key)
        expect(spawned.has(text), `${text} is spawned twice`).toBe(false)
        expect(rig.state.lease.setSeen && leaseValid(rig.state, rig.bootMs)).toBe(true)
        spawned.add(text)
        alive.set(text, effect.assignment)
        pending.push({ type: 'spawned', key: effect.assignment.key, pid: spawned.size })
      }
      if (effect.type !== 'stop') continue
      // With a grace it lives on until its end is among the moves; SIGKILL is at once.
      if (effect.graceMs === 0) alive.delete(keyText(effect.key))
      end(effect.key)
    }
  }
  const finish = (at: number) => {
    const [input] = pending.splice(at % Math.max(1, pending.length), 1)
    if (input?.type === 'ended') alive.delete(keyText(input.key))
    if (input !== undefined) perform(rig.put(input))
    // Some processes end by themselves.
    if (input?.type === 'spawned' && at % 3 === 0) end(input.key)
  }
  let lastPosition = 10
  for (const move of history) {
    if (move.kind === 'want') {
      lastPosition += 1
      const position = String(lastPosition - move.back)
      const assignments = move.ranks.map((rank) => task(rank, { exclusive: rank % 2 === 0 }))
      const version = { epoch: '1', position }
      perform(rig.put({ type: 'desired', version, assignments, forget: [] }))
    } else if (move.kind === 'lease') perform(rig.lease(rig.bootMs + move.forMs, move.setSeen))
    else if (move.kind === 'pass') rig.bootMs += move.ms
    else finish(move.at)
    const due = nextTickBootMs(rig.state)
    if (due !== undefined && due <= rig.bootMs) perform(rig.put({ type: 'tick' }))
    for (const [text, assignment] of alive) {
      const waits = pending.some((i) => i.type === 'spawned' && keyText(i.key) === text)
      const late = assignment.exclusive && !leaseValid(rig.state, rig.bootMs) && !waits
      expect(late, `${text} outlives its lease`).toBe(false)
    }
  }
}

it('never spawns twice, never without a lease, never lets an exclusive task outlive it', () => {
  const histories = fc.array(moves, { minLength: 20, maxLength: 80, size: 'max' })
  fc.assert(fc.property(histories, play), { numRuns: 1000 })
})

describe('readiness and notices', () => {
  const readiness = {
    httpGet: '/healthz',
    port: 1,
    periodMs: 1_000,
    timeoutMs: 1_000,
    failureThreshold: 3,
    successThreshold: 1,
  }
  const found = { ready: true, cause: '', atMs: 1 }

  it('a task that runs and has a probe is asked, and what was found is reported', () => {
    const rig = new Rig()
    rig.want(task(0, { readiness }), task(1))
    expect(probedTasks(rig.state)).toEqual([])
    rig.lease(5000)
    for (const rank of [0, 1]) {
      rig.put({ type: 'prepared', key: key(rank) })
      rig.put({ type: 'spawned', key: key(rank), pid: 7 })
    }
    expect(probedTasks(rig.state)).toEqual([{ key: key(0), probe: readiness, readiness: null }])
    rig.put({ type: 'probed', key: key(0), readiness: found })
    expect(probedTasks(rig.state)[0]?.readiness).toEqual(found)
    expect(statusesOf(rig.state).map((status) => status.readiness)).toEqual([found, undefined])
    rig.want()
    expect(probedTasks(rig.state)).toEqual([])
  })

  it('a notice is given once to a task that runs, and at its start to one that does not', () => {
    const rig = new Rig()
    const notice = { id: 'c-1', kind: 'checkpoint', deadlineMs: 1 }
    rig.run(task(0))
    const told = { type: 'notice', key: key(0), notice }
    expect(rig.want(task(0, { notice }))).toEqual([told])
    expect(rig.want(task(0, { notice }))).toEqual([])
    const other = new Rig()
    other.want(task(0))
    other.lease(5000)
    other.put({ type: 'prepared', key: key(0) })
    expect(other.want(task(0, { notice }))).toEqual([])
    expect(other.put({ type: 'spawned', key: key(0), pid: 7 })).toEqual([told])
  })
})
