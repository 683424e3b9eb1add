import { describe, expect, it } from 'vitest'
import { CHECKER_NAMES, createCheckers } from './index.ts'
import { gen, Story } from './testing/story.ts'

describe('a correct story', () => {
  it('makes no alarm: submit, place, run, fail, recover, end, cancel', () => {
    const story = Story.calm()
    story.submit('j1')
    story.read('j1', 'STATE_QUEUED')
    story.run(gen(1))
    story.fail(gen(1))
    story.run(gen(2), [
      ['n2', 0],
      ['n3', 3],
    ])
    story.checkpoint(gen(2), 10n)
    story.told('TaskReported', gen(2), 0)
    story.read('j1', 'Running')
    story.submit('j2', { exclusive: true })
    story.run(gen(1, 'j2'))
    story.fail(gen(1, 'j2'))
    story.run(gen(2, 'j2'))
    story.succeed(gen(2))
    story.commit('mediator', {
      events: [{ type: 'JobCancelRequested', jobId: 'j2' }],
      answers: [{ requestId: 'c1', outcome: { ok: true, value: { jobId: 'j2' } } }],
      runtime: [{ type: 'EffectAdded', key: 'cancel:j2' }],
    })
    story.answer('c1', 'j2', { call: 'cancel' })
    story.release(gen(2, 'j2'), 'CANCELLED')
    story.state('j2', 'Cancelled', 2)
    story.commit('mediator', { runtime: [{ type: 'EffectSettled', key: 'cancel:j2' }] })
    for (const rank of [0, 1]) story.end({ ...gen(2, 'j2'), rank })
    story.free(gen(2, 'j2'))
    story.read('j2', 'Cancelled')
    story.settle()
    expect(story.alarms).toEqual([])
  })

  it('names its checkers', () => {
    expect(createCheckers(() => undefined).names).toEqual(CHECKER_NAMES)
    expect(new Set(CHECKER_NAMES).size).toBe(CHECKER_NAMES.length)
  })
})

describe('devices', () => {
  it('sees a device that is given away before it is free', () => {
    const story = Story.calm()
    story.submit('j1')
    story.submit('j2')
    story.run(gen(1))
    story.release(gen(1), 'CANCELLED')
    story.place(gen(1, 'j2'), [
      ['n2', 0],
      ['n1', 1],
    ])
    expect(story.caught).toEqual(['devices'])
    expect(story.alarms[0]?.message).toContain(
      'device 1 of n1, which j1 gang 0 generation 1 rank 1',
    )
  })

  it('sees a device that the node does not have', () => {
    const story = Story.calm()
    story.submit('j1')
    story.place(gen(1), [
      ['n1', 0],
      ['n1', 4],
    ])
    expect(story.caught).toEqual(['devices'])
  })

  it('sees too much memory and a port that is given twice', () => {
    const story = Story.calm()
    story.submit('j1')
    story.submit('j2')
    const perTask = { devices: 1, cpuMillis: 1_000n, memoryMib: 5_000n }
    story.place(
      gen(1),
      [
        ['n1', 0],
        ['n1', 1],
      ],
      { change: { perTask, rank0Ports: [30_000] } },
    )
    story.place(
      gen(1, 'j2'),
      [
        ['n1', 2],
        ['n2', 1],
      ],
      { change: { rank0Ports: [30_000] } },
    )
    const texts = story.alarms.map(({ message }) => message)
    expect(story.caught).toEqual(['devices'])
    expect(texts.some((text) => text.includes('memoryMib of n1'))).toBe(true)
    expect(texts.some((text) => text.includes('port 30000 of n1'))).toBe(true)
  })

  it('sees a placement on a node that the scheduler knows to be away', () => {
    const story = Story.calm()
    story.submit('j1')
    const before = story.log('pool-manager').publicSeq
    story.node('n1', 'LOST')
    story.nodeLost('n1')
    story.place(
      gen(1),
      [
        ['n1', 0],
        ['n2', 0],
      ],
      { mark: before },
    )
    expect(story.alarms).toEqual([])
    story.release(gen(1), 'CANCELLED')
    story.place(gen(2), [
      ['n1', 1],
      ['n2', 1],
    ])
    expect(story.caught).toEqual(['devices'])
    expect(story.alarms[0]?.message).toContain('which is Lost since pool-manager log')
  })

  it('sees what is never given back', () => {
    const story = Story.calm()
    story.submit('j1')
    story.run(gen(1))
    for (const rank of [0, 1]) story.end({ ...gen(1), rank })
    story.release(gen(1))
    story.state('j1', 'Succeeded')
    story.free(gen(1), [0])
    story.settle()
    expect(story.caught).toEqual(['devices'])
  })
})

describe('processes', () => {
  it('sees a task that its node ends though nobody has released it', () => {
    const story = Story.calm()
    story.submit('j1')
    story.run(gen(1))
    story.release(gen(1))
    story.end({ ...gen(1), rank: 0 }, 'SIGTERM')
    expect(story.alarms).toEqual([])
    const lost = Story.calm()
    lost.submit('j1')
    lost.run(gen(1))
    lost.told('TaskExited', gen(1), 1)
    lost.end({ ...gen(1), rank: 1 }, 'SIGTERM')
    expect(lost.alarms).toEqual([])
    const early = Story.calm()
    early.submit('j1')
    early.run(gen(1))
    early.end({ ...gen(1), rank: 0 }, 'SIGTERM')
    expect(early.caught).toEqual(['processes'])
  })

  it('sees two tasks on a device', () => {
    const story = Story.calm()
    story.submit('j1')
    story.submit('j2')
    story.run(gen(1))
    story.place(gen(1, 'j2'), [
      ['n2', 0],
      ['n2', 1],
    ])
    story.launch(gen(1, 'j2'))
    story.begin({ ...gen(1, 'j2'), rank: 0 }, { node: 'n1', devices: [1] })
    expect(story.caught).toEqual(['processes'])
    expect(story.alarms[0]?.message).toContain('beside j1 gang 0 generation 1 rank 1')
  })

  it('sees an execution that is started again', () => {
    const story = Story.calm()
    story.submit('j1')
    story.run(gen(1))
    story.end({ ...gen(1), rank: 0 })
    story.begin({ ...gen(1), rank: 0 })
    expect(story.caught).toEqual(['processes'])
    expect(story.alarms[0]?.message).toContain('at most once')
  })

  it('sees what was never placed, or placed elsewhere', () => {
    const story = Story.calm()
    story.submit('j1')
    story.begin({ ...gen(1), rank: 0 }, { node: 'n1', devices: [0] })
    expect(story.alarms[0]?.message).toContain('never placed')
    story.place(gen(1), [
      ['n1', 1],
      ['n1', 2],
    ])
    story.begin({ ...gen(1), rank: 1 }, { devices: [3] })
    expect(story.alarms[1]?.message).toContain('was given 2')
    expect(story.caught).toEqual(['processes'])
  })

  it('sees devices that are told to be free under a running task', () => {
    const story = Story.calm()
    story.submit('j1')
    story.run(gen(1))
    story.release(gen(1), 'CANCELLED')
    story.free(gen(1), [0])
    expect(story.caught).toEqual(['processes'])
  })
})
