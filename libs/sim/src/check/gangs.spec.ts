import { describe, expect, it } from 'vitest'
import { gen, Story } from './testing/story.ts'

describe('gangs', () => {
  it.each([
    ['a rank is missing', (story: Story) => story.place(gen(1), [['n1', 0]])],
    [
      'a rank has too few devices',
      (story: Story) =>
        story.place(
          gen(1),
          [
            ['n1', 0],
            ['n1', 1],
          ],
          { change: { deviceIndexes: [0] } },
        ),
    ],
    [
      'a rank has no node',
      (story: Story) =>
        story.place(
          gen(1),
          [
            ['n1', 0],
            ['n1', 1],
          ],
          { change: { nodeOfRank: [0, 7] } },
        ),
    ],
  ])('sees that %s', (_, place) => {
    const story = Story.calm()
    story.submit('j1')
    place(story)
    expect(story.caught).toContain('gangs')
  })

  it('sees a second generation beside one that is not released', () => {
    const story = Story.calm()
    story.submit('j1')
    story.place(gen(1), [
      ['n1', 0],
      ['n1', 1],
    ])
    story.place(gen(2), [
      ['n2', 0],
      ['n2', 1],
    ])
    expect(story.caught).toEqual(['gangs'])
  })

  it('sees a rank that is freed twice, or on another node', () => {
    const story = Story.calm()
    story.submit('j1')
    story.place(gen(1), [
      ['n1', 0],
      ['n1', 1],
    ])
    story.release(gen(1), 'CANCELLED')
    story.free(gen(1), [0], { node: 'n2' })
    story.free(gen(1), [0])
    expect(story.alarms.map(({ checker }) => checker)).toEqual(['gangs', 'gangs'])
  })

  it('sees a release of another generation than the newest', () => {
    const story = Story.calm()
    story.submit('j1')
    story.run(gen(1))
    story.fail(gen(1))
    story.place(gen(2), [
      ['n1', 0],
      ['n1', 1],
    ])
    story.release(gen(1), 'CANCELLED')
    expect(story.caught).toEqual(['gangs'])
  })
})

describe('quota', () => {
  it('sees a queue above its maximum, and counts a release at once', () => {
    const story = Story.calm()
    story.queue('q', 3)
    story.submit('j1')
    story.submit('j2')
    story.place(gen(1), [
      ['n1', 0],
      ['n1', 1],
    ])
    story.release(gen(1), 'CANCELLED')
    story.place(gen(1, 'j2'), [
      ['n2', 0],
      ['n2', 1],
    ])
    expect(story.alarms).toEqual([])
    story.submit('j3')
    story.place(gen(1, 'j3'), [
      ['n3', 0],
      ['n3', 1],
    ])
    expect(story.caught).toEqual(['quota'])
    expect(story.alarms[0]?.message).toContain('queue q holds 4 devices with it, its maximum is 3')
  })
})

describe('generations', () => {
  const recovered = (): Story => {
    const story = Story.calm()
    story.submit('j1')
    story.run(gen(1))
    story.fail(gen(1))
    story.run(gen(2))
    // Fault tolerance has read of it.
    story.checkpoint(gen(2), 5n)
    return story
  }

  it.each([
    ['a start', (story: Story) => story.told('TaskStarted', gen(1), 0)],
    ['an end', (story: Story) => story.told('TaskExited', gen(1), 1)],
    ['a report', (story: Story) => story.told('TaskReported', gen(1), 0)],
    ['a checkpoint', (story: Story) => story.checkpoint(gen(1), 7n)],
    [
      'a result',
      (story: Story) =>
        story.commit('scheduler', {
          events: [{ type: 'ResultReported', jobId: 'j1', generation: 1, json: '{}' }],
        }),
    ],
    ['a launch contract', (story: Story) => story.launch(gen(1))],
  ])('sees %s of an older one that is accepted', (_, breach) => {
    const story = recovered()
    expect(story.alarms).toEqual([])
    breach(story)
    expect(story.caught).toEqual(['generations'])
  })

  it('lets a service that has not read of the newer one accept the older one', () => {
    const story = Story.calm()
    story.submit('j1')
    story.run(gen(1))
    story.marks = () => ({})
    story.release(gen(1), 'CANCELLED')
    story.told('TaskReported', gen(1), 0)
    expect(story.alarms).toEqual([])
  })

  it('sees a generation that is left out', () => {
    const story = Story.calm()
    story.submit('j1')
    story.place(gen(2), [
      ['n1', 0],
      ['n1', 1],
    ])
    expect(story.caught).toEqual(['generations'])
  })
})

describe('exclusive', () => {
  it('sees two generations of an exclusive gang at once, and lets others do so', () => {
    for (const exclusive of [true, false]) {
      const story = Story.calm()
      story.submit('j1', { exclusive })
      story.run(gen(1))
      story.incident(gen(1), 'RECOVER')
      story.release(gen(1), 'RECOVER')
      story.run(gen(2), [
        ['n2', 0],
        ['n2', 1],
      ])
      expect(story.caught).toEqual(exclusive ? ['exclusive'] : [])
    }
  })
})

describe('recoverers', () => {
  const failing = (): Story => {
    const story = Story.calm()
    story.submit('j1')
    story.run(gen(1))
    story.incident(gen(1), '')
    return story
  }

  it('sees a second incident of a generation', () => {
    const story = failing()
    story.incident(gen(1), '', 'i-other')
    expect(story.caught).toEqual(['recoverers'])
  })

  it('sees a decision that changes', () => {
    const story = failing()
    story.incident(gen(1), 'RECOVER')
    story.incident(gen(1), 'GIVE_UP')
    expect(story.caught).toEqual(['recoverers'])
  })

  it('sees a recovery that nobody decided', () => {
    const story = failing()
    story.release(gen(1), 'RECOVER')
    expect(story.caught).toEqual(['recoverers'])
    expect(story.alarms[0]?.message).toContain('undecided')
  })

  it('sees a recovery of an older generation, and the same one twice', () => {
    const story = failing()
    story.fail(gen(1))
    story.run(gen(2))
    expect(story.alarms).toEqual([])
    story.release(gen(2), 'RECOVER', { incidentId: 'i-j1-1', recovers: 1 })
    const texts = story.alarms.map(({ message }) => message)
    expect(story.caught).toEqual(['recoverers'])
    expect(texts).toEqual([
      expect.stringContaining('it happens once'),
      expect.stringContaining('the newest generation is 2'),
    ])
  })

  it('sees a job that is failed without a decision', () => {
    const story = failing()
    story.incident(gen(1), 'RECOVER')
    story.commit('scheduler', {
      events: [{ type: 'JobFailed', jobId: 'j1', incidentId: 'i-j1-1' }],
    })
    expect(story.caught).toEqual(['recoverers'])
  })
})
