import type { Accepted } from '@serverless-ai/kernel'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { faultDecider } from './decider.ts'
import type { FaultCommand, FaultEvent, FaultInput } from './messages.ts'
import type { FaultState, TaskEnd } from './model.ts'
import { judge } from './verdict.ts'

const JOB = 'j-0-000000000001'

class Story {
  state: FaultState = faultDecider.initial()
  atMs = 1_000
  readonly events: { event: FaultEvent; atMs: number }[] = []
  timers = new Map<string, number>()
  effects: { key: string; kind: string; payload: unknown }[] = []
  #nonce = 0

  tell(command: FaultCommand): Accepted<FaultEvent> {
    this.#nonce += 1
    const nonce = this.#nonce.toString(16).padStart(12, '0').padEnd(32, '0')
    const decision = faultDecider.decide(command, this.state, { atMs: this.atMs, nonce })
    if (!decision.accepted) throw new Error('refused')
    for (const event of decision.events) {
      this.events.push({ event, atMs: this.atMs })
      this.state = faultDecider.evolve(this.state, event, this.atMs)
    }
    for (const key of decision.cancelTimers ?? []) this.timers.delete(key)
    for (const timer of decision.timers ?? []) this.timers.set(timer.key, timer.dueMs)
    this.effects.push(...(decision.effects ?? []))
    return decision
  }

  /** Lets log time pass and fires the timers that come due. */
  pass(ms: number): this {
    this.atMs += ms
    for (const [key, due] of [...this.timers]) {
      if (due > this.atMs) continue
      this.timers.delete(key)
      this.tell({ type: 'Judge', incidentId: key.slice('judge:'.length) })
    }
    return this
  }
}

const end = (init: Partial<TaskEnd> & { rank: number }): TaskEnd => ({
  nodeId: `n${Math.floor(init.rank / 2) + 1}`,
  cause: 'EXITED',
  exitCode: 1,
  signal: '',
  message: '',
  atMs: 1_000,
  ...init,
})

const ended = (generation: number, one: TaskEnd): FaultInput => ({
  type: 'NoteEnded',
  jobId: JOB,
  gang: 0,
  generation,
  end: one,
})

const placed = (generation: number): FaultInput => ({
  type: 'NotePlaced',
  jobId: JOB,
  gang: 0,
  generation,
  tenant: 'team-a',
  nodeOfRank: ['n1', 'n1', 'n2', 'n2'],
})

function running(retry = { restartsMax: 3, userRestartsMax: 0, backoffMs: 1_000 }): Story {
  const story = new Story()
  story.tell({ type: 'DescribeJob', jobId: JOB, tenant: 'team-a', name: 'digits', retry })
  for (const nodeId of ['n1', 'n2']) {
    story.tell({ type: 'NoteNode', nodeId, node: { state: 'Ready', session: 's1' } })
  }
  story.tell(placed(1))
  for (let rank = 0; rank < 4; rank++) {
    story.tell({ type: 'NoteStarted', jobId: JOB, gang: 0, generation: 1, rank })
  }
  return story
}

const checkpoint = (generation: number, step: number): FaultInput => ({
  type: 'RegisterCheckpoint',
  jobId: JOB,
  gang: 0,
  generation,
  checkpoint: { step, path: `j-1/gen-${generation}/step-${step}.ckpt`, bytes: 10, digest: '' },
})

describe('blame follows the evidence', () => {
  it('a plain exit code is the user’s: the job is given up after the evidence window', () => {
    const story = running()
    story.tell(ended(1, end({ rank: 2, exitCode: 3 })))
    expect(story.effects).toEqual([])
    story.pass(2_000)
    expect(story.effects).toMatchObject([{ kind: 'GiveUp', payload: { code: 'USER_ERROR' } }])
  })

  it('a peer that failed because a node was lost does not make it a user error', () => {
    const story = running()
    story.tell(ended(1, end({ rank: 0, exitCode: 75 })))
    story.tell({ type: 'NoteNode', nodeId: 'n2', node: { state: 'Disconnected', session: 's1' } })
    story.pass(2_000).pass(10_000)
    expect(story.effects).toEqual([])
    story.tell(ended(1, end({ rank: 2, cause: 'NODE_LOST', exitCode: -1 })))
    story.tell(ended(1, end({ rank: 3, cause: 'NODE_LOST', exitCode: -1 })))
    story.tell({ type: 'NoteNode', nodeId: 'n2', node: { state: 'Lost', session: 's1' } })
    story.pass(300)
    expect(story.effects).toMatchObject([
      {
        kind: 'Recover',
        payload: { expectedGeneration: 1, avoidNodes: ['n2'], restartsCharged: 1 },
      },
    ])
  })

  it('a planned shut-down is not charged', () => {
    const story = running({ restartsMax: 0, userRestartsMax: 0, backoffMs: 1_000 })
    story.tell(ended(1, end({ rank: 0, cause: 'NODE_SHUTDOWN', exitCode: -1, signal: 'SIGTERM' })))
    story.tell(ended(1, end({ rank: 2, exitCode: 75 })))
    story.pass(2_000)
    expect(story.effects).toMatchObject([
      { kind: 'Recover', payload: { restartsCharged: 0, notBeforeMs: 0 } },
    ])
  })

  it('a SIGKILL the platform did not send is infrastructure', () => {
    const verdict = judge([
      end({ rank: 0, exitCode: 75, atMs: 5 }),
      end({ rank: 1, exitCode: -1, signal: 'SIGKILL', atMs: 9 }),
    ])
    expect(verdict).toMatchObject({ blame: 'Infrastructure', cause: 'KILLED_FROM_OUTSIDE' })
  })

  it('a task that was stopped as asked is no failure', () => {
    const story = running()
    story.tell(ended(1, end({ rank: 0, cause: 'STOPPED', exitCode: -1, signal: 'SIGTERM' })))
    expect(story.state.incidents.size).toBe(0)
  })
})

describe('recovery', () => {
  it('resumes from the newest registered checkpoint and accounts for the lost work', () => {
    const story = running()
    story.atMs = 5_000
    story.tell(checkpoint(1, 40))
    story.tell({ type: 'NoteProgress', jobId: JOB, gang: 0, generation: 1, step: 55 })
    story.atMs = 9_000
    const lost = { cause: 'SUPERVISOR_LOST', exitCode: -1, atMs: 8_500 } as const
    story.tell(ended(1, end({ rank: 1, ...lost })))
    story.pass(2_000)
    expect(story.effects).toMatchObject([
      { payload: { checkpointPath: 'j-1/gen-1/step-40.ckpt', checkpointStep: 40 } },
    ])
    story.tell({ type: 'NoteReleased', jobId: JOB, gang: 0, through: 1, cause: 'RECOVER' })
    story.tell(placed(2))
    for (let rank = 0; rank < 4; rank++) {
      story.tell({ type: 'NoteStarted', jobId: JOB, gang: 0, generation: 2, rank })
    }
    const [incident] = [...story.state.incidents.values()]
    expect(incident?.progress).toMatchObject({
      stepsLost: 15,
      workLostMs: 3_500,
      recoveredMs: 11_000,
    })
  })

  it('refuses checkpoints of an older generation', () => {
    const story = running()
    story.tell(checkpoint(1, 10))
    story.tell({ type: 'NoteReleased', jobId: JOB, gang: 0, through: 1, cause: 'RECOVER' })
    story.tell(placed(2))
    story.tell(checkpoint(1, 20))
    expect(story.state.jobs.get(JOB)?.gangs.get(0)?.checkpoints[0]?.step).toBe(10)
  })

  it('spends the budget on failures without progress, progress refills it', () => {
    const story = running({ restartsMax: 2, userRestartsMax: 0, backoffMs: 100 })
    const fail = (generation: number) => {
      story.tell(ended(generation, end({ rank: 0, cause: 'PREPARE_FAILED', exitCode: -1 })))
      story.pass(2_000)
      story.tell({
        type: 'NoteReleased',
        jobId: JOB,
        gang: 0,
        through: generation,
        cause: 'RECOVER',
      })
      story.tell(placed(generation + 1))
    }
    fail(1)
    fail(2)
    story.tell(checkpoint(3, 5))
    fail(3)
    fail(4)
    fail(5)
    expect(story.effects.map((effect) => effect.kind)).toEqual([
      'Recover',
      'Recover',
      'Recover',
      'Recover',
      'GiveUp',
    ])
    expect(story.effects[1]?.payload).toMatchObject({ restartsCharged: 2 })
    expect(story.effects[2]?.payload).toMatchObject({ restartsCharged: 1 })
  })

  it('gives a generation up once, whatever ends later', () => {
    const story = running()
    story.tell(ended(1, end({ rank: 0 })))
    story.pass(2_000)
    story.tell(ended(1, end({ rank: 1 })))
    story.pass(5_000)
    expect(story.effects.map((effect) => effect.kind)).toEqual(['GiveUp'])
  })

  it('drops an open incident when the job is cancelled', () => {
    const story = running()
    story.tell(ended(1, end({ rank: 0 })))
    story.tell({ type: 'NoteJobState', jobId: JOB, state: 'Cancelled' })
    story.pass(5_000)
    expect(story.effects).toEqual([])
  })
})

const inputArbitrary = (): fc.Arbitrary<FaultInput> => {
  const rank = fc.integer({ min: 0, max: 3 })
  const generation = fc.integer({ min: 1, max: 4 })
  const cause = fc.constantFrom('EXITED', 'NODE_LOST', 'NODE_SHUTDOWN', 'STOPPED', 'LEASE_LAPSED')
  return fc.oneof(
    generation.map(placed),
    fc.record({ rank, generation }).map((one) => ({
      type: 'NoteStarted' as const,
      jobId: JOB,
      gang: 0,
      ...one,
    })),
    fc
      .record({ rank, generation, cause })
      .map((one) =>
        ended(one.generation, end({ rank: one.rank, cause: one.cause as TaskEnd['cause'] })),
      ),
    fc.record({ generation, step: fc.nat(50) }).map((one) => checkpoint(one.generation, one.step)),
    generation.map((through) => ({
      type: 'NoteReleased' as const,
      jobId: JOB,
      gang: 0,
      through,
      cause: 'RECOVER',
    })),
    fc
      .record({
        nodeId: fc.constantFrom('n1', 'n2'),
        state: fc.constantFrom('Ready' as const, 'Disconnected' as const, 'Lost' as const),
      })
      .map(({ nodeId, state }) => ({
        type: 'NoteNode' as const,
        nodeId,
        node: { state, session: 's' },
      })),
  )
}

describe('in any order', () => {
  it('the state is the fold of its events and survives JSON; a generation is decided once', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(inputArbitrary(), fc.nat(3_000)), { maxLength: 60 }),
        (steps) => {
          const story = new Story()
          for (const [input, ms] of steps) {
            story.tell(input)
            story.pass(ms)
          }
          let folded = faultDecider.initial()
          for (const { event, atMs } of story.events)
            folded = faultDecider.evolve(folded, event, atMs)
          const json = faultDecider.toJson(story.state)
          expect(faultDecider.toJson(folded)).toEqual(json)
          expect(faultDecider.toJson(faultDecider.fromJson(structuredClone(json)))).toEqual(json)
          const keys = story.effects.map((effect) => effect.key.split(':').slice(1).join(':'))
          expect(new Set(keys).size).toBe(keys.length)
          const steps0 =
            story.state.jobs
              .get(JOB)
              ?.gangs.get(0)
              ?.checkpoints.map((one) => one.step) ?? []
          expect(steps0).toEqual([...steps0].sort((a, b) => b - a))
        },
      ),
      { numRuns: 1_000 },
    )
  })
})
