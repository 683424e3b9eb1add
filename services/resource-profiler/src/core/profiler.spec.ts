import { canonicalJson } from '@serverless-ai/kernel'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { KEY, NOON, placed, Stage, usage } from '../testing/stage.ts'
import { adviceOf } from './advice.ts'
import { profilerDecider } from './decider.ts'
import type { ProfilerInput } from './messages.ts'
import { ENDED_KEPT, STORY_KEPT, UNTOLD_MS } from './model.ts'
import { iterationOf } from './profile.ts'
import { durationsOf } from './starts.ts'

let stage: Stage
beforeEach(() => {
  stage = new Stage()
})

/** Twenty seconds of steps that take 50 ms, told every second. */
function train(seconds = 20): void {
  const from = stage.job.gangs.get(0)?.track.points.at(-1)?.[1] ?? 0
  for (let second = 0; second < seconds; second += 1) {
    stage.step(from + 20 * (second + 1))
    stage.pass(1_000)
  }
}

/** Ten seconds of each task, as often as that. */
function work(times: number, cpu: readonly number[] = [400, 420, 380, 410, 400]): void {
  for (let time = 0; time < times; time += 1) {
    stage.pass(cpu.length * 1_000)
    const tasks = [usage(stage.atMs, cpu), usage(stage.atMs, cpu, { rank: 1, nodeId: 'n2' })]
    stage.tell({ type: 'RecordUsage', tasks, devices: [] })
  }
}

const told = () => stage.published.map(({ type }) => type.split('.').at(-1))

describe('a job', () => {
  it('has a period that is known within seconds, and told at most once in 10 s', () => {
    stage.begin()
    train(30)
    const { basis, periodUs, step } = iterationOf(stage.job, stage.atMs)
    expect(basis).toMatchObject({ unknown: '', source: 'reported-steps, clock of the task' })
    expect(periodUs).toBe(50_000)
    expect(step).toBe(600)
    expect(stage.job.readyAfterMs).toBeLessThan(6_000)
    const times = stage.published.map(({ atMs }) => atMs)
    for (const [index, atMs] of times.entries()) {
      if (index > 0) expect(atMs - (times[index - 1] ?? 0)).toBeGreaterThanOrEqual(10_000)
    }
    // Nothing changes: nothing more is told.
    const before = times.length
    train(60)
    expect(stage.published.length - before).toBeLessThanOrEqual(1)
  })

  it('is looked at less often the longer it has run', () => {
    const looks = (seconds: number): number => {
      const before = stage.events.length
      train(seconds)
      const since = stage.events.slice(before).map(({ event }) => event.type)
      return since.filter((type) => type === 'TellingSkipped' || type === 'ProfileTold').length
    }
    stage.begin()
    expect(looks(40)).toBeGreaterThan(8)
    train(600)
    expect(looks(120)).toBeLessThanOrEqual(5)
    expect(looks(120)).toBeGreaterThanOrEqual(3)
  })

  it('notes steps at most once in 0.9 s, and by one clock', () => {
    stage.begin()
    for (let n = 0; n < 100; n += 1) {
      stage.step(n + 1)
      stage.pass(100)
    }
    const noted = stage.events.filter(({ event }) => event.type === 'StepNoted')
    expect(noted.length).toBeLessThan(13)
    // A task whose clock is years away is told by the log's.
    stage.step(200, 1_000)
    expect(stage.job.gangs.get(0)?.track).toMatchObject({
      clock: 'log',
      points: [[stage.atMs, 200]],
    })
  })

  it('is measured from its placement until it works', () => {
    stage.begin()
    stage.pass(2_000)
    stage.step(1)
    expect(stage.job.starts).toEqual([{ gang: 0, generation: 1, startedMs: 1_000, readyMs: 3_000 }])
    expect(durationsOf([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])).toEqual({
      count: 10,
      p50Ms: 5,
      p90Ms: 9,
      maxMs: 10,
    })
  })

  it('begins before the scheduler has told of it, and knows no start then', () => {
    for (const rank of [0, 1]) {
      stage.tell({ type: 'NoteStarted', key: KEY, rank, startedMs: stage.atMs })
    }
    expect(stage.job.tenant).toBe('')
    stage.tell({ type: 'NotePlaced', placed: placed() })
    const about = { jobId: KEY.jobId, tenant: 'team-a', name: 'train', queue: 'q' }
    stage.tell({ type: 'NoteJob', ...about, ended: false })
    expect(stage.job).toMatchObject({ tenant: 'team-a', name: 'train' })
    train()
    expect(stage.job.starts).toEqual([])
    expect(iterationOf(stage.job, stage.atMs).periodUs).toBe(50_000)
  })

  it('keeps what it had when a generation, and when it, is over', () => {
    stage.begin()
    train()
    stage.tell({ type: 'NoteReleased', jobId: KEY.jobId, gang: 0, through: 1 })
    const between = iterationOf(stage.job, stage.atMs)
    expect(between).toMatchObject({ periodUs: 50_000, basis: { unknown: '' } })
    // Late news of the generation that is over are none.
    const late = stage.tell({ type: 'NoteStarted', key: KEY, rank: 0, startedMs: stage.atMs })
    expect([late, stage.tell({ type: 'NotePlaced', placed: placed() })]).toEqual([[], []])
    stage.end()
    expect(stage.job.endedMs).toBe(stage.atMs)
    expect(iterationOf(stage.job, stage.atMs).periodUs).toBe(50_000)
    expect(told().at(-1)).toBe('ProfileChanged')
    expect([...stage.timers.keys()]).toEqual([])
  })

  it('leaves nothing behind when nothing of it was placed, and little when many ended', () => {
    const about = { tenant: 'team-a', name: 'x', queue: 'q' }
    const note = (jobId: string, ended: boolean) =>
      stage.tell({ type: 'NoteJob', jobId, ...about, ended })
    note('j-none', false)
    note('j-none', true)
    expect(stage.state.jobs.size).toBe(0)
    for (let n = 0; n < ENDED_KEPT + 5; n += 1) {
      note(`j-${n}`, false)
      stage.tell({ type: 'NotePlaced', placed: placed({ jobId: `j-${n}` }) })
      note(`j-${n}`, true)
    }
    expect(stage.state.jobs.size).toBe(ENDED_KEPT)
    expect(stage.state.jobs.has('j-4')).toBe(false)
  })

  it('whose tasks are heard of after its end was forgotten goes again', () => {
    const about = { tenant: 'team-a', name: 'x', queue: 'q' }
    const start = (jobId: string, rank = 0) => {
      const key = { ...KEY, jobId }
      return stage.tell({ type: 'NoteStarted', key, rank, startedMs: stage.atMs - 60_000 })
    }
    // The scheduler's words of the time away come before the pool manager's.
    for (let n = 0; n < ENDED_KEPT + 5; n += 1) {
      const jobId = `j-${n}`
      stage.tell({ type: 'NoteJob', jobId, ...about, ended: false })
      stage.tell({ type: 'NotePlaced', placed: placed({ jobId }) })
      stage.tell({ type: 'NoteJob', jobId, ...about, ended: true })
    }
    const kept = [...stage.state.jobs.keys()]
    for (let n = 0; n < ENDED_KEPT + 5; n += 1) for (const rank of [0, 1]) start(`j-${n}`, rank)
    expect(stage.state.jobs.size).toBe(ENDED_KEPT + 5)
    stage.pass(UNTOLD_MS)
    expect([...stage.state.jobs.keys()]).toEqual(kept)
    // One that ended in a gap of the scheduler's events, which is mended before.
    stage.tell({ type: 'ReplaceSource', source: 'scheduler', commands: [] })
    start('j-gap')
    stage.pass(UNTOLD_MS)
    expect([...stage.state.jobs.keys()]).toEqual(kept)
    expect([...stage.timers.keys()]).toEqual([])
  })

  it('that the scheduler tells of while its tasks run stays', () => {
    const start = (jobId: string) =>
      stage.tell({ type: 'NoteStarted', key: { ...KEY, jobId }, rank: 0, startedMs: stage.atMs })
    start('j-named')
    start('j-placed')
    const about = { tenant: 'team-a', name: 'x', queue: 'q' }
    stage.tell({ type: 'NoteJob', jobId: 'j-named', ...about, ended: false })
    stage.tell({ type: 'NotePlaced', placed: placed({ jobId: 'j-placed' }) })
    stage.pass(UNTOLD_MS)
    expect([...stage.state.jobs.keys()]).toEqual(['j-named', 'j-placed'])
  })
})

describe('use of resources', () => {
  it('is told by quantiles, with advice and how sure it is', () => {
    stage.begin()
    work(1)
    expect(adviceOf(stage.job, stage.atMs).map(({ unknown }) => unknown)).toEqual([
      'FEW_SAMPLES',
      'FEW_SAMPLES',
      'NO_READING',
    ])
    work(20)
    const [cpu, memory] = adviceOf(stage.job, stage.atMs)
    expect(cpu).toMatchObject({ dimension: 'cpu_millis', unknown: '', requested: 500 })
    expect(cpu?.recommended).toBeGreaterThan(440)
    expect(cpu?.recommended).toBeLessThan(500)
    expect(memory).toMatchObject({ recommended: 115, lower: 100 })
    const after100s = cpu?.confidencePpm ?? 0
    expect(after100s).toBeGreaterThan(350_000)
    work(100)
    expect(adviceOf(stage.job, stage.atMs)[0]?.confidencePpm).toBeGreaterThan(900_000)
    stage.pass(200_000)
    expect(adviceOf(stage.job, stage.atMs)[0]?.unknown).toBe('STALE')
  })

  it('gives no advice about memory that grows', () => {
    stage.begin()
    let mib = 100
    for (let n = 0; n < 40; n += 1) {
      stage.pass(5_000)
      mib += 2
      const memory = { digest: { ...usage(0, [mib]).cpu!.digest }, source: 'procfs' }
      const tasks = [usage(stage.atMs, [400, 400, 400, 400, 400], { memory })]
      stage.tell({ type: 'RecordUsage', tasks, devices: [] })
    }
    expect(adviceOf(stage.job, stage.atMs)[1]?.unknown).toBe('GROWING')
  })

  it('is taken once, from the node where the task is', () => {
    stage.begin()
    stage.pass(5_000)
    const record = (more: Parameters<typeof usage>[2]) => {
      const tasks = [usage(stage.atMs, [1, 2, 3, 4, 5], more)]
      return stage.tell({ type: 'RecordUsage', tasks, devices: [] })
    }
    expect(record({ nodeId: 'n2' })).toEqual([])
    expect(record({ generation: 2 })).toEqual([])
    expect(record({ jobId: 'j-0-2' })).toEqual([])
    expect(record({})).not.toEqual([])
    expect(record({})).toEqual([])
    expect(stage.job.cpu?.digest.count).toBe(5)
  })

  it('of a device is that of the job that has it', () => {
    stage.begin()
    stage.pass(5_000)
    const busy = { digest: usage(0, [80, 90]).cpu!.digest, source: 'nvidia-smi' }
    const device = { nodeId: 'n2', index: 1, fromMs: stage.atMs - 5_000, toMs: stage.atMs, busy }
    const other = { ...device, index: 0 }
    stage.tell({ type: 'RecordUsage', tasks: [], devices: [device, other] })
    expect(stage.job.deviceBusy).toMatchObject({ source: 'nvidia-smi', digest: { count: 2 } })
  })

  it('tells a period by bursts only when two looks agree, and not of a service', () => {
    stage.begin()
    const look = (periodUs: number) => {
      stage.pass(5_000)
      const about = { samples: 150, spanMs: 15_000, source: 'procfs', unknown: '' } as const
      const bursts = { periodUs, lowUs: periodUs - 1, highUs: periodUs + 1, ...about }
      const tasks = [usage(stage.atMs, [400, 400, 400, 400, 400], { bursts })]
      stage.tell({ type: 'RecordUsage', tasks, devices: [] })
      return iterationOf(stage.job, stage.atMs)
    }
    expect(look(1_000_000).basis.unknown).toBe('FEW_SAMPLES')
    expect(look(1_020_000)).toMatchObject({ periodUs: 1_020_000, basis: { unknown: '' } })
    expect(look(3_000_000).basis.unknown).toBe('FEW_SAMPLES')
    const about = { jobId: KEY.jobId, tenant: 'team-a', name: 'train' }
    stage.tell({ type: 'DeclareService', ...about })
    expect(iterationOf(stage.job, stage.atMs).basis.unknown).toBe('NOT_TRAINING')
  })
})

describe('the core', () => {
  const inputs = fc.array(
    fc.record({
      what: fc.constantFrom(
        'place',
        'start',
        'step',
        'ready',
        'checkpoint',
        'release',
        'end',
        'job',
        'usage',
        'service',
        'endService',
        'load',
        'pass',
        'replace',
      ),
      job: fc.integer({ min: 0, max: 2 }),
      generation: fc.integer({ min: 1, max: 3 }),
      rank: fc.integer({ min: 0, max: 1 }),
      number: fc.integer({ min: 0, max: 400 }),
    }),
    { minLength: 20, maxLength: 150 },
  )

  it('folds to the same state, through JSON, in any order of its inputs', () => {
    fc.assert(
      fc.property(inputs, (list) => {
        const walk = new Stage()
        for (const { what, job, generation, rank, number } of list) {
          const jobId = `j-${job}`
          const key = { jobId, gang: 0, generation }
          const about = { jobId, tenant: 'team-a', name: 'n', queue: 'q' }
          const row = { jobId, first: NOON / 10_000 + number, gap: 'nothing' as const }
          const bySort: Record<string, () => unknown> = {
            place: () => walk.tell({ type: 'NotePlaced', placed: placed({ jobId, generation }) }),
            start: () =>
              walk.tell({ type: 'NoteStarted', key, rank, startedMs: walk.atMs - number }),
            step: () => walk.tell({ type: 'NoteStep', key, rank, step: number, atMs: walk.atMs }),
            ready: () => walk.tell({ type: 'NoteReady', key, atMs: walk.atMs }),
            checkpoint: () => walk.tell({ type: 'NoteCheckpoint', key, step: number, bytes: 5 }),
            release: () => walk.tell({ type: 'NoteReleased', jobId, gang: 0, through: generation }),
            end: () => walk.tell({ type: 'NoteJob', ...about, ended: true }),
            job: () => walk.tell({ type: 'NoteJob', ...about, ended: false }),
            usage: () =>
              walk.tell({
                type: 'RecordUsage',
                tasks: [usage(walk.atMs, [number, 5], { ...key, rank, nodeId: `n${rank + 1}` })],
                devices: [],
              }),
            service: () => walk.tell({ type: 'DeclareService', jobId, tenant: 't', name: 's' }),
            endService: () => walk.tell({ type: 'EndService', jobId }),
            load: () =>
              walk.tell({
                type: 'RecordLoad',
                rows: [{ ...row, arrivals: [number, 1], tokens: [number, -1] }],
              }),
            pass: () => walk.pass(number * 100),
            replace: () => {
              const commands: ProfilerInput[] = [{ type: 'NoteJob', ...about, ended: false }]
              return walk.tell({ type: 'ReplaceSource', source: 'scheduler', commands })
            },
          }
          bySort[what]?.()
          const again = profilerDecider.fromJson(JSON.parse(walk.json()))
          expect(canonicalJson(profilerDecider.toJson(again))).toBe(walk.json())
        }
        let state = profilerDecider.initial()
        for (const { event, atMs } of walk.events)
          state = profilerDecider.evolve(state, event, atMs)
        expect(profilerDecider.toJson(state)).toEqual(profilerDecider.toJson(walk.state))
        for (const { story } of state.jobs.values()) {
          expect(story.length).toBeLessThanOrEqual(STORY_KEPT)
        }
      }),
      { numRuns: 60 },
    )
  })
})
