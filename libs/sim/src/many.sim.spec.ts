import { describe, expect, it } from 'vitest'
import { type ManyInit, runMany } from './many.ts'

const FAILING = new URL('./testing/failing-thread.ts', import.meta.url)

const twelve = (more: Partial<ManyInit>) =>
  runMany({ scenarios: ['calm', 'chaos'], firstSeed: 0, count: 12, workers: 1, ...more })

describe('a run that the program does not survive', () => {
  it.each([1, 3])('is an alarm of its scenario and seed, and %s threads go on', async (workers) => {
    const told: number[] = []
    const onResult: ManyInit['onResult'] = ({ seed }) => told.push(seed)
    const results = await twelve({ workers, thread: FAILING, onResult })
    const seeds = Array.from({ length: 12 }, (_, seed) => seed)
    expect(results.map(({ seed }) => seed)).toEqual(seeds)
    expect(told.sort((a, b) => a - b)).toEqual(seeds)
    const failed = results.filter(({ alarms }) => alarms.length > 0)
    const lines = failed.map(({ scenario, seed, alarms: [alarm] }) => {
      return `${scenario} ${seed} ${alarm?.checker}: ${alarm?.message.split('\n')[0]}`
    })
    expect(lines).toEqual([
      'chaos 1 process: Error: nobody awaits it',
      'calm 2 process: Error: a timer throws',
      'chaos 3 process: the thread ended by itself, code 7',
      'calm 4 process: the run throws',
      'chaos 7 process: Error: nobody awaits it',
      'calm 8 process: Error: a timer throws',
      'chaos 9 process: the thread ended by itself, code 7',
      'calm 10 process: the run throws',
    ])
  })

  it('ends the rest where an alarm does', async () => {
    const results = await twelve({ thread: FAILING, stopAtAlarm: true })
    expect(results.map(({ seed }) => seed)).toEqual([0, 1])
  })

  it('is one that throws in the real thread too', async () => {
    const [result] = await twelve({ scenarios: ['no-such-scenario'], count: 1 })
    expect(result?.seed).toBe(0)
    expect(result?.alarms[0]?.message).toContain('SCENARIO_UNKNOWN')
  })
})
