import { describe, expect, it } from 'vitest'
import { anomaliesOf } from './anomalies.ts'
import type { Applied } from './applied.ts'
import type { Command, Read } from './operations.ts'

const position = (number: number): string => `mediator:0:${number}:0`

const submit = (over: Partial<Command> = {}): Command => ({
  kind: 'submit',
  user: 'u1',
  requestId: 'r1',
  jobId: 'j1',
  outcome: 'accepted',
  reason: '',
  position: position(11),
  invokedMs: 100,
  returnedMs: 110,
  ...over,
})
const cancel = (over: Partial<Command> = {}): Command => ({
  ...submit({ requestId: 'r2', position: position(20), invokedMs: 200, returnedMs: 210 }),
  kind: 'cancel',
  ...over,
})
const read = (over: Partial<Read> = {}): Read => ({
  kind: 'read',
  user: 'u1',
  jobId: 'j1',
  minPosition: position(11),
  found: true,
  state: 'QUEUED',
  position: position(13),
  invokedMs: 120,
  returnedMs: 125,
  ...over,
})

/** A job that is submitted, queued and cancelled. */
const applied = (over: Partial<Applied> = {}): Applied => ({
  requests: new Map([
    ['r1', [{ position: 10, ok: true, reason: '' }]],
    ['r2', [{ position: 20, ok: true, reason: '' }]],
  ]),
  submitted: new Map([['r1', [{ jobId: 'j1', position: 10 }]]]),
  cancelled: new Map([['j1', 1]]),
  queued: new Map([['j1', 1]]),
  shown: new Map([
    [
      'j1',
      [
        { position: 10, state: 'SUBMITTED' },
        { position: 12, state: 'QUEUED' },
        { position: 22, state: 'CANCELLED' },
      ],
    ],
  ]),
  end: 30,
  ...over,
})

const kinds = (...args: Parameters<typeof anomaliesOf>): readonly string[] =>
  anomaliesOf(...args).map(({ kind }) => kind)

describe('a history', () => {
  it('without a fault has no anomaly', () => {
    const late = read({ minPosition: position(20), state: 'CANCELLED', position: position(25) })
    expect(anomaliesOf([submit(), read(), cancel(), late], applied())).toEqual([])
  })

  it('tells an accepted submission that the log does not hold', () => {
    const none = applied({ requests: new Map(), submitted: new Map() })
    expect(kinds([submit()], none)).toEqual(['lost', 'lost'])
  })

  it('tells an accepted job that the scheduler never took', () => {
    expect(kinds([submit()], applied({ queued: new Map() }))).toEqual(['lost'])
  })

  it('tells a request that made two jobs, was answered twice, a job that was queued twice', () => {
    const jobs = ['j1', 'j2'].map((jobId) => ({ jobId, position: 10 }))
    expect(kinds([submit()], applied({ submitted: new Map([['r1', jobs]]) }))).toContain(
      'duplicated',
    )
    const answers = [10, 14].map((at) => ({ position: at, ok: true, reason: '' }))
    expect(kinds([submit()], applied({ requests: new Map([['r1', answers]]) }))).toEqual([
      'duplicated',
    ])
    expect(kinds([submit()], applied({ queued: new Map([['j1', 2]]) }))).toEqual(['duplicated'])
  })

  it('tells a cancellation that is recorded twice', () => {
    expect(kinds([cancel()], applied({ cancelled: new Map([['j1', 2]]) }))).toEqual(['duplicated'])
  })

  it('tells an unknown submission that made two jobs, and lets one be', () => {
    const unknown = submit({ outcome: 'unknown', jobId: '', position: '' })
    expect(anomaliesOf([unknown], applied())).toEqual([])
    const jobs = ['j1', 'j2'].map((jobId) => ({ jobId, position: 10 }))
    expect(kinds([unknown], applied({ submitted: new Map([['r1', jobs]]) }))).toEqual([
      'duplicated',
    ])
  })

  it('tells a refusal that was carried out all the same', () => {
    const refused = submit({ outcome: 'refused', reason: 'QUEUE_NOT_FOUND', jobId: '' })
    expect(kinds([refused], applied())).toEqual(['torn', 'torn'])
  })

  it('tells a submission that is committed without its answer', () => {
    const answers = new Map([['r1', [{ position: 11, ok: true, reason: '' }]]])
    expect(kinds([submit()], applied({ requests: answers }))).toEqual(['torn'])
  })

  it('tells commands that stand before those whose answers they followed', () => {
    const early = cancel({ invokedMs: 10, returnedMs: 20, jobId: 'j0' })
    expect(kinds([early, submit()], applied())).toEqual(['reordered'])
    const beside = cancel({ invokedMs: 10, returnedMs: 105, jobId: 'j0' })
    expect(anomaliesOf([beside, submit()], applied())).toEqual([])
  })

  it('tells reads that do not show what their position promises', () => {
    expect(kinds([read({ found: false, state: '' })], applied())).toEqual(['stale'])
    const behind = read({ minPosition: position(22), position: position(25) })
    expect(kinds([behind], applied())).toEqual(['stale'])
    expect(kinds([read({ position: position(9) })], applied())).toEqual(['stale'])
  })

  it('tells reads of what never was', () => {
    expect(kinds([read({ state: 'RUNNING' })], applied())).toEqual(['lost'])
    expect(kinds([read({ position: position(31) })], applied())).toEqual(['lost'])
  })
})
