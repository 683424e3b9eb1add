import { describe, expect, it } from 'vitest'
import { gen, Story } from './testing/story.ts'

/** A job runs and ends. */
function runToEnd(story: Story, jobId = 'j1'): void {
  story.run(gen(1, jobId))
  story.succeed(gen(1, jobId))
  story.settle()
}

describe('acknowledged', () => {
  it('sees an answer before its commit is effective', () => {
    const story = Story.calm()
    story.answer('request-j1', 'j1')
    expect(story.caught).toEqual(['acknowledged'])
    expect(story.alarms[0]?.message).toContain('does not hold it yet')
  })

  it('sees a request that is carried out twice', () => {
    const story = Story.calm()
    story.submit('j1')
    story.take('j2', 'request-j1')
    expect(story.caught).toEqual(['acknowledged'])
    expect(story.alarms.at(-1)?.message).toContain('request-j1 made job j1')
  })

  it('sees another answer to the same request', () => {
    const story = Story.calm()
    story.submit('j1')
    story.answer('request-j1', 'j1')
    expect(story.alarms).toEqual([])
    story.answer('request-j1', 'j1', { ok: false, reason: 'UNKNOWN_QUEUE' })
    expect(story.caught).toEqual(['acknowledged'])
  })

  it('sees a refusal that leaves something behind', () => {
    const story = Story.calm()
    story.answer('request-j1', '', { ok: false, reason: 'INVALID_SPEC' })
    story.take('j1', 'request-j1')
    story.queueJob('j1')
    expect(story.alarms).toEqual([])
    story.enqueued('j1')
    expect(story.caught).toEqual(['acknowledged'])
  })

  it('lets a rejected job be refused', () => {
    const story = Story.calm()
    story.take('j1', 'request-j1')
    story.commit('mediator', {
      events: [{ type: 'JobRejected', jobId: 'j1' }],
      runtime: [{ type: 'EffectSettled', key: 'enqueue:j1' }],
    })
    story.answer('request-j1', '', { ok: false, reason: 'UNKNOWN_QUEUE' })
    story.settle()
    expect(story.alarms).toEqual([])
  })

  it('sees a refusal that the log does not hold, or that says otherwise', () => {
    const story = Story.calm()
    story.refuse('r1', 'UNKNOWN_QUEUE')
    const refused = { ok: false, reason: 'UNKNOWN_QUEUE' }
    story.answer('r1', '', refused)
    expect(story.alarms).toEqual([])
    story.answer('r2', '', refused)
    expect(story.alarms[0]?.message).toContain('holds no answer')
    story.refuse('r3', 'NO_MATCHING_NODE')
    story.answer('r3', '', refused)
    expect(story.alarms[1]?.message).toContain('the log says NO_MATCHING_NODE')
    expect(story.caught).toEqual(['acknowledged'])
  })

  it('sees that a job is not found when it is cancelled, though the log holds it', () => {
    const story = Story.calm()
    const refused = { call: 'cancel', ok: false, reason: 'JOB_NOT_FOUND' } as const
    story.answer('c1', 'j1', refused)
    expect(story.alarms).toEqual([])
    story.submit('j1')
    story.answer('c2', 'j1', refused)
    expect(story.caught).toEqual(['acknowledged'])
  })

  it('sees another request that is answered under a known id', () => {
    const story = Story.calm()
    story.submit('j1')
    story.answer('request-j1', '', { call: 'reuse', ok: false, reason: 'REQUEST_ID_REUSED' })
    expect(story.alarms).toEqual([])
    story.answer('request-j1', 'j1', { call: 'reuse' })
    story.answer('request-j1', '', { call: 'reuse', ok: false, reason: 'UNKNOWN_QUEUE' })
    expect(story.alarms.map(({ checker }) => checker)).toEqual(['acknowledged', 'acknowledged'])
  })

  it('sees a position that lies before the commit', () => {
    const story = Story.calm()
    story.submit('j1')
    story.take('j2', 'r2')
    story.queueJob('j2')
    story.enqueued('j2')
    story.answer('r2', 'j2', { position: 'mediator:0:1:0' })
    expect(story.caught).toEqual(['acknowledged'])
  })

  it('sees a job that is queued twice, or that the scheduler does not hold', () => {
    const twice = Story.calm()
    twice.submit('j1')
    twice.queueJob('j1')
    expect(twice.caught).toContain('acknowledged')
    const never = Story.calm()
    never.take('j1', 'r1')
    never.enqueued('j1')
    expect(never.caught).toEqual(['acknowledged'])
  })

  it('sees an acknowledged job that the scheduler does not hold yet, or that is rejected', () => {
    const early = Story.calm()
    early.take('j1', 'r1')
    early.answer('r1', 'j1')
    expect(early.alarms[0]?.message).toContain("the scheduler's log does not hold it yet")
    const rejected = Story.calm()
    rejected.take('j1', 'r1')
    rejected.queueJob('j1')
    rejected.answer('r1', 'j1')
    expect(rejected.alarms).toEqual([])
    rejected.commit('mediator', { events: [{ type: 'JobRejected', jobId: 'j1' }] })
    expect(rejected.alarms[0]?.message).toContain('the answer holds')
  })

  it('sees a cancellation that was acknowledged and is not there', () => {
    const story = Story.calm()
    story.submit('j1')
    const outcome = { ok: true, value: { jobId: 'j1' } }
    story.commit('mediator', { answers: [{ requestId: 'c1', outcome }] })
    story.answer('c1', 'j1', { call: 'cancel' })
    expect(story.caught).toEqual(['acknowledged'])
  })
})

describe('reads', () => {
  it('sees a job that is not found from its own position on', () => {
    const story = Story.calm()
    story.submit('j1')
    story.read('j1', '', { found: false, position: 'mediator:0:0:0' })
    expect(story.alarms).toEqual([])
    story.read('j1', '', { found: false })
    expect(story.caught).toEqual(['reads'])
  })

  it('sees a state that is older than the position, or that was never said', () => {
    const story = Story.calm()
    story.submit('j1')
    story.run(gen(1))
    story.read('j1', 'Admitted', { position: 'mediator:0:2:0' })
    expect(story.alarms).toEqual([])
    story.read('j1', 'Queued')
    story.read('j1', 'Succeeded', { position: 'mediator:0:2:0' })
    expect(story.alarms.map(({ checker }) => checker)).toEqual(['reads', 'reads'])
  })
})

describe('watches', () => {
  it('shows states of the log, in its order, up to the end', () => {
    const story = Story.calm()
    story.submit('j1')
    story.watch('j1', 'STATE_QUEUED')
    story.state('j1', 'Running', 1)
    story.watch('j1', 'Running')
    story.watch('j1', 'Running')
    story.state('j1', 'Succeeded', 1)
    story.watch('j1', 'Queued', 'w2')
    story.watch('j1', 'Succeeded')
    expect(story.alarms).toEqual([])
    story.watch('j1', 'Succeeded')
    expect(story.alarms[0]?.message).toContain('behind the end succeeded')
  })

  it('sees a state that nobody said, or that goes back', () => {
    const story = Story.calm()
    story.submit('j1')
    story.watch('j1', 'Failed')
    story.state('j1', 'Running', 1)
    story.watch('j1', 'Running', 'w2')
    story.watch('j1', 'Queued', 'w2')
    expect(story.alarms.map(({ checker }) => checker)).toEqual(['reads', 'reads'])
  })

  it('sees a watch that never shows the end', () => {
    const story = Story.calm()
    story.submit('j1')
    story.watch('j1', 'Queued')
    runToEnd(story)
    expect(story.caught).toEqual(['reads'])
    expect(story.alarms[0]?.message).toContain('has shown queued last')
  })
})

describe('ends', () => {
  it('sees a job that does not end, and a process that stays', () => {
    const story = Story.calm()
    story.submit('j1')
    story.settle()
    expect(story.caught).toEqual(['ends'])
    expect(story.alarms[0]?.message).toContain('j1 is Queued since scheduler log')
  })

  it('sees an end that changes', () => {
    const story = Story.calm()
    story.submit('j1')
    story.run(gen(1))
    story.succeed(gen(1))
    story.commit('scheduler', { events: [] })
    story.state('j1', 'Failed')
    expect(story.caught).toEqual(['ends'])
  })

  it('sees an owner who is not told', () => {
    const story = Story.calm()
    story.submit('j1')
    story.shown = () => undefined
    runToEnd(story)
    expect(story.caught).toEqual(['ends'])
    expect(story.alarms[0]?.message).toContain('its owner sees no end')
  })

  it('sees a task of an ended job that goes on', () => {
    const story = Story.calm()
    story.submit('j1')
    story.run(gen(1))
    story.release(gen(1), 'CANCELLED')
    story.state('j1', 'Cancelled')
    story.settle()
    expect(story.caught).toEqual(['devices', 'ends'])
  })
})

describe('digests', () => {
  const digest = (story: Story, process: string, value: string): void =>
    story.observe({
      ...{ kind: 'digest', atMs: story.nowMs, process, service: 'scheduler', position: 3 },
      digest: value,
    })

  it('sees replicas that differ', () => {
    const story = Story.calm()
    digest(story, 'scheduler-1', 'aa')
    digest(story, 'scheduler-2', 'aa')
    expect(story.alarms).toEqual([])
    digest(story, 'scheduler-3', 'bb')
    expect(story.caught).toEqual(['digests'])
  })

  it('compares with digests and snapshots in the log', () => {
    for (const type of ['StateDigest', 'SnapshotVerified']) {
      const story = Story.calm()
      digest(story, 'scheduler-1', 'aa')
      story.commit('scheduler', { runtime: [{ type, position: 3, digest: 'aa' }] })
      expect(story.alarms).toEqual([])
      story.commit('scheduler', { runtime: [{ type, position: 3, digest: 'bb' }] })
      expect(story.caught).toEqual(['digests'])
    }
  })
})

describe('effects', () => {
  it('sees an effect that stays open', () => {
    const story = Story.calm()
    story.submit('j1')
    story.commit('mediator', { runtime: [{ type: 'EffectAdded', key: 'cancel:j1' }] })
    runToEnd(story)
    expect(story.caught).toEqual(['effects'])
  })

  it.each(['cancel:j1', 'recover:j1:0:1', 'giveup:j1:0:1'])('sees %s settled undone', (key) => {
    const story = Story.calm()
    story.submit('j1')
    story.run(gen(1))
    story.commit('mediator', { runtime: [{ type: 'EffectAdded', key }] })
    story.commit('mediator', { runtime: [{ type: 'EffectSettled', key }] })
    expect(story.caught).toEqual(['effects'])
  })
})

describe('inputs', () => {
  it('sees marks that go back or lie beyond the source, and what is set aside', () => {
    const story = Story.calm()
    story.commit('scheduler', { marks: { 'pool-manager': 3 } })
    expect(story.alarms).toEqual([])
    story.commit('scheduler', { marks: { 'pool-manager': 2 } })
    story.commit('scheduler', { marks: { 'pool-manager': 4 } })
    story.commit('scheduler', { runtime: [{ type: 'InputParked', name: 'GangPlaced' }] })
    expect(story.alarms.map(({ checker }) => checker)).toEqual(['inputs', 'inputs', 'inputs'])
  })
})
