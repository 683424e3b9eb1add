import { AppendOutcomeUnknownError } from '@serverless-ai/eventlog'
import { describe, expect, it } from 'vitest'
import type { ObservedCommit, RuntimeObserver } from './observer.ts'
import { add, bank } from './testing/bank.ts'
import { withLog } from './testing/with-log.ts'
import { World } from './testing/world.ts'

/** Keeps all that it is told. */
function notes() {
  const commits: ObservedCommit[] = []
  const decisions: (string | undefined)[] = []
  const rounds: number[] = []
  const snapshots: { verified: boolean; tookMs: number }[] = []
  const told = { commits, decisions, rounds, snapshots, repeats: 0 }
  const observer: RuntimeObserver = {
    committed: (commit) => commits.push(commit),
    decided: (refusal) => decisions.push(refusal),
    appendRepeated: () => {
      told.repeats += 1
    },
    round: (tookMs) => rounds.push(tookMs),
    snapshot: (done) => snapshots.push(done),
  }
  return { told, observer }
}

describe('an observer of a runtime', () => {
  it('hears of commits, of what callers were told, of rounds and of snapshots', async () => {
    const world = new World()
    const { told, observer } = notes()
    const { runtime } = world.process(bank(), {
      wrap: (environment) => ({ ...environment, observer }),
    })
    await world.run(runtime.start())
    await world.run(Promise.all([runtime.execute(add('a', 1)), runtime.execute(add('b', 1))]))
    expect(told.commits).toEqual([
      {
        kind: 'normal',
        items: 2,
        events: 2,
        bytes: expect.any(Number),
        latencyMs: expect.any(Number),
      },
    ])
    expect(told.commits[0]?.bytes).toBeGreaterThan(100)
    await world.run(runtime.execute({ type: 'Take', key: 'nobody', n: 1 }))
    expect(told.decisions).toEqual([undefined, undefined, 'NOT_ENOUGH'])
    expect(told.rounds).toEqual([])
    await world.run(runtime.execute({ type: 'Interest', on: true }))
    expect(told.rounds).toHaveLength(1)
    await world.run(runtime.snapshot())
    expect(told.snapshots).toEqual([{ verified: true, tookMs: expect.any(Number) }])
    await world.run(runtime.stop())
    expect(told.commits.at(-1)?.kind).toBe('yield')
  })

  it('hears of every append that is made again', async () => {
    const world = new World()
    const { told, observer } = notes()
    let failures = 3
    const flaky = withLog((log) => ({
      append: (address, entries) => {
        if (!address.topic.includes('.log.') || told.commits.length === 0 || failures === 0) {
          return log.append(address, entries)
        }
        failures -= 1
        return Promise.reject(new AppendOutcomeUnknownError('lost'))
      },
    }))
    const { runtime } = world.process(bank(), {
      wrap: (environment) => ({ ...flaky(environment), observer }),
    })
    await world.run(runtime.start())
    await world.run(runtime.execute(add('a', 1)))
    expect(told.repeats).toBe(0)
    await world.run(runtime.execute(add('a', 1)))
    expect(told.repeats).toBe(3)
    expect(told.commits.at(-1)?.latencyMs).toBeGreaterThanOrEqual(50 + 100 + 200)
    await world.run(runtime.stop())
  })
})

describe('the status', () => {
  it('counts what waits for the next commit', async () => {
    const world = new World()
    const { runtime } = await world.started(bank())
    const answers = [1, 2, 3].map((n) => runtime.execute(add('a', n)))
    expect(runtime.status()).toMatchObject({ mailboxItems: 3, lagRecords: 0 })
    await world.run(Promise.all(answers))
    expect(runtime.status()).toMatchObject({ mailboxItems: 0, unpublishedEvents: 3 })
    await world.run(runtime.stop())
  })
})
