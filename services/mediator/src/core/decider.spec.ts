import type { Accepted, Decision, Json } from '@serverless-ai/kernel'
import { seededRandomness } from '@serverless-ai/kernel/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { jobSpec, placementOf, viewOf } from '../testing/samples.ts'
import { mediatorDecider as core } from './decider.ts'
import type { MediatorCommand, MediatorEvent } from './messages.ts'
import { FINISHED_JOBS_MAX, isFinished, type MediatorState } from './model.ts'

const submitBy = (tenant: string, more: Partial<{ requestId: string }> = {}): MediatorCommand => ({
  type: 'SubmitJob',
  cell: 0,
  tenant,
  submittedBy: `token:${tenant}`,
  requestId: '',
  spec: jobSpec(),
  rejection: null,
  ...more,
})

/** A core with its log. */
class Bench {
  state: MediatorState = core.initial()
  readonly log: { event: MediatorEvent; atMs: number }[] = []
  #atMs = 1000
  #nonce = 0

  decide(command: MediatorCommand): Decision<MediatorEvent> {
    this.#atMs += 10
    this.#nonce += 1
    const nonce = this.#nonce.toString(16).padStart(12, '0').padEnd(32, 'f')
    const decision = core.decide(command, this.state, { atMs: this.#atMs, nonce })
    if (decision.accepted) {
      for (const event of decision.events) {
        this.state = core.evolve(this.state, event, this.#atMs)
        this.log.push({ event, atMs: this.#atMs })
      }
    }
    return decision
  }

  accept(command: MediatorCommand): Accepted<MediatorEvent> {
    const decision = this.decide(command)
    if (!decision.accepted) throw new Error(`refused: ${decision.refusal.reason}`)
    return decision
  }

  /** Submits and settles; returns the job id. */
  queued(tenant = 'a'): string {
    const [event] = this.accept(submitBy(tenant)).events
    if (event?.type !== 'JobSubmitted') throw new Error('not submitted')
    this.accept({ type: 'SettleEnqueue', jobId: event.jobId, rejection: null })
    return event.jobId
  }

  job(jobId: string) {
    const job = this.state.jobs.get(jobId)
    if (job === undefined) throw new Error(`no ${jobId}`)
    return job
  }
}

const types = ({ events }: Accepted<MediatorEvent>) => events.map((event) => event.type)
const REJECTION = {
  code: 'NOT_FOUND',
  reason: 'UNKNOWN_QUEUE',
  message: 'no such queue',
  metadata: {},
}

describe('submit', () => {
  test('records the job and hands it to the scheduler, once', () => {
    const bench = new Bench()
    const decision = bench.accept(submitBy('a'))
    const jobId = 'j-0-000000000001'
    expect(decision).toMatchObject({ answer: { jobId }, effects: [{ key: `enqueue:${jobId}` }] })
    expect(bench.job(jobId)).toMatchObject({ state: 'Submitted', enqueued: false, tenant: 'a' })
    const settled = bench.accept({ type: 'SettleEnqueue', jobId, rejection: null })
    expect(settled).toMatchObject({ settles: [`enqueue:${jobId}`] })
    expect(types(settled)).toEqual(['JobEnqueued'])
    expect(types(bench.accept({ type: 'SettleEnqueue', jobId, rejection: null }))).toEqual([])
  })

  test('a refusal of the scheduler ends the job', () => {
    const bench = new Bench()
    bench.accept(submitBy('a'))
    const jobId = 'j-0-000000000001'
    bench.accept({ type: 'SettleEnqueue', jobId, rejection: REJECTION })
    expect(bench.job(jobId)).toMatchObject({ state: 'Rejected', code: 'UNKNOWN_QUEUE' })
  })

  test('the scheduler’s first word about a job counts as its answer', () => {
    const bench = new Bench()
    bench.accept(submitBy('a'))
    const jobId = 'j-0-000000000001'
    const seen = bench.accept({ type: 'ObserveState', view: viewOf(jobId) })
    expect(types(seen)).toEqual(['JobEnqueued', 'JobStateObserved'])
    // A late refusal of a repeated call changes nothing.
    bench.accept({ type: 'SettleEnqueue', jobId, rejection: REJECTION })
    expect(bench.job(jobId).state).toBe('Queued')
  })
})

describe('cancel', () => {
  test('goes to the scheduler, once', () => {
    const bench = new Bench()
    const jobId = bench.queued()
    const cancel = { type: 'CancelJob', jobId, tenant: 'a', by: 'token:a' } as const
    expect(bench.accept(cancel).effects).toMatchObject([{ key: `cancel:${jobId}` }])
    expect(bench.accept(cancel).effects ?? []).toEqual([])
    expect(bench.accept({ type: 'SettleCancel', jobId }).settles).toEqual([`cancel:${jobId}`])
  })

  test('before the scheduler has the job it waits for that', () => {
    const bench = new Bench()
    bench.accept(submitBy('a'))
    const jobId = 'j-0-000000000001'
    expect(bench.accept({ type: 'CancelJob', jobId, tenant: '', by: 'admin' }).effects).toEqual([])
    const settled = bench.accept({ type: 'SettleEnqueue', jobId, rejection: null })
    expect(settled.effects).toMatchObject([
      { key: `cancel:${jobId}`, payload: { requestedBy: 'admin' } },
    ])
  })

  test('another tenant’s job does not exist', () => {
    const bench = new Bench()
    const jobId = bench.queued('a')
    const decision = bench.decide({ type: 'CancelJob', jobId, tenant: 'b', by: 'token:b' })
    expect(decision).toEqual({
      accepted: false,
      refusal: { reason: 'JOB_NOT_FOUND', details: { jobId } },
    })
  })

  test('a finished job stays as it is', () => {
    const bench = new Bench()
    const jobId = bench.queued()
    bench.accept({ type: 'ObserveState', view: viewOf(jobId, { state: 'Succeeded' }) })
    expect(types(bench.accept({ type: 'CancelJob', jobId, tenant: 'a', by: 'x' }))).toEqual([])
  })
})

describe('the view', () => {
  test('a launch is prepared once per generation, never backwards, never after the end', () => {
    const bench = new Bench()
    const jobId = bench.queued()
    const prepare = (generation: number) =>
      types(
        bench.accept({
          type: 'PrepareLaunch',
          placed: { jobId, placement: placementOf(generation) },
        }),
      )
    expect(prepare(1)).toEqual(['LaunchPrepared'])
    expect(prepare(1)).toEqual([])
    expect(prepare(3)).toEqual(['LaunchPrepared'])
    expect(prepare(2)).toEqual([])
    bench.accept({ type: 'ObserveState', view: viewOf(jobId, { state: 'Failed', generation: 3 }) })
    expect(prepare(4)).toEqual([])
  })

  test('older generations change nothing', () => {
    const bench = new Bench()
    const jobId = bench.queued()
    bench.accept({ type: 'ObserveState', view: viewOf(jobId, { state: 'Running', generation: 2 }) })
    const late = viewOf(jobId, { state: 'Starting', generation: 1 })
    expect(types(bench.accept({ type: 'ObserveState', view: late }))).toEqual([])
    expect(bench.job(jobId)).toMatchObject({ state: 'Running', startedMs: 1000 })
  })

  test('progress of the ranks of a gang is told once per step', () => {
    const bench = new Bench()
    const jobId = bench.queued()
    const at = (generation: number, rank: number, step: number) =>
      types(
        bench.accept({
          type: 'ObserveProgress',
          jobId,
          progress: { generation, rank, step, totalSteps: 9, loss: null, atMs: 0 },
        }),
      ).length
    expect([at(1, 0, 1), at(1, 1, 1), at(1, 1, 2), at(1, 0, 1), at(2, 0, 1)]).toEqual([
      1, 0, 1, 0, 1,
    ])
  })

  test('after a gap what the scheduler does not know any more has ended', () => {
    const bench = new Bench()
    const [seen, young, gone] = [bench.queued(), bench.queued(), bench.queued()]
    for (const jobId of [seen, gone]) {
      bench.accept({
        type: 'ObserveState',
        view: viewOf(jobId, { state: 'Running', generation: 1 }),
      })
    }
    bench.accept({
      type: 'ReplaceScheduler',
      views: [viewOf(seen, { state: 'Recovering', generation: 1 })],
      placed: [{ jobId: seen, placement: placementOf(1) }],
    })
    expect(bench.job(seen)).toMatchObject({ state: 'Recovering', placement: { generation: 1 } })
    // Its enqueue was answered, but it may be younger than the snapshot.
    expect(bench.job(young).state).toBe('Queued')
    expect(bench.job(gone)).toMatchObject({ state: 'Failed', code: 'UNKNOWN_TO_SCHEDULER' })
  })
})

test('finished jobs are kept up to a number, the oldest goes first', () => {
  const bench = new Bench()
  const ids = Array.from({ length: FINISHED_JOBS_MAX + 2 }, () => bench.queued())
  for (const jobId of ids) {
    bench.accept({ type: 'ObserveState', view: viewOf(jobId, { state: 'Succeeded' }) })
  }
  expect(bench.state.jobs.size).toBe(FINISHED_JOBS_MAX)
  expect(bench.state.jobs.has(ids[1] ?? '')).toBe(false)
  expect(bench.state.jobs.has(ids[2] ?? '')).toBe(true)
})

const STATES = [
  'Queued',
  'Admitted',
  'Starting',
  'Running',
  'Recovering',
  'Succeeded',
  'Failed',
  'Cancelled',
] as const

function randomCommand(
  random: ReturnType<typeof seededRandomness>,
  ids: string[],
): MediatorCommand {
  const jobId = ids.length === 0 ? 'j-0-none' : random.pick(ids)
  const generation = random.int(4)
  const view = viewOf(jobId, {
    state: random.pick(STATES),
    generation,
    atMs: 5000 + random.int(99),
  })
  const checkpoint = { generation, step: random.int(50), path: `/c/${generation}` }
  const choices: MediatorCommand[] = [
    submitBy(random.pick(['a', 'b']), { requestId: `r${random.int(1e9)}` }),
    { type: 'SettleEnqueue', jobId, rejection: random.chance(0.3) ? REJECTION : null },
    { type: 'CancelJob', jobId, tenant: random.pick(['a', 'b', '']), by: 'x' },
    { type: 'SettleCancel', jobId },
    { type: 'ObserveState', view },
    { type: 'PrepareLaunch', placed: { jobId, placement: placementOf(generation + 1) } },
    {
      type: 'ObserveProgress',
      jobId,
      progress: { generation, rank: 0, step: random.int(9), totalSteps: 9, loss: 0.5, atMs: 1 },
    },
    { type: 'ObserveCheckpoint', jobId, checkpoint },
    { type: 'ReplaceCheckpoints', checkpoints: [{ jobId, checkpoint }] },
    {
      type: 'ReplaceScheduler',
      views: random.chance(0.2) ? [view] : ids.map((id) => viewOf(id)),
      placed: [],
    },
    { type: 'ReplacePool' },
  ]
  return random.pick(choices)
}

const json = (state: MediatorState): Json => JSON.parse(JSON.stringify(core.toJson(state)))

test('incremental state = folded state = state through JSON, after any commands', () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const random = seededRandomness(seed)
      const bench = new Bench()
      const ids: string[] = []
      for (let step = 0; step < 120; step += 1) {
        const decision = bench.decide(randomCommand(random, ids))
        for (const event of decision.accepted ? decision.events : []) {
          if (event.type === 'JobSubmitted') ids.push(event.jobId)
        }
        if (random.chance(0.05)) bench.state = core.fromJson(json(bench.state))
      }
      const folded = bench.log.reduce(
        (state, { event, atMs }) => core.evolve(state, JSON.parse(JSON.stringify(event)), atMs),
        core.initial(),
      )
      expect(json(folded)).toEqual(json(bench.state))
      const again = core.fromJson(json(folded))
      expect(json(again)).toEqual(json(folded))
      expect(again.requests).toEqual(folded.requests)
      for (const job of folded.jobs.values()) {
        expect(folded.finished.has(job.jobId)).toBe(isFinished(job.state))
        if (job.state === 'Submitted' || job.state === 'Rejected') expect(job.enqueued).toBe(false)
      }
    }),
    { numRuns: 60 },
  )
})
