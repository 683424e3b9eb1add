import { describe, expect, it } from 'vitest'
import { countAnswer, type ProbeCount, probeCount, usableProbe } from './probe.ts'

const limits = { failureThreshold: 3, successThreshold: 2 }

/** What is said after each answer; '' = good. */
function heard(answers: readonly string[], said: ProbeCount['said'] = undefined) {
  let count = probeCount(said)
  return answers.map((problem) => {
    count = countAnswer(count, problem, limits)
    return count.said
  })
}
const ready = { ready: true, cause: '' }
const down = { ready: false, cause: '503' }

describe('a readiness probe', () => {
  it('says that a task is ready after enough good answers in a row', () => {
    expect(heard(['', '503', '', ''])).toEqual([undefined, undefined, undefined, ready])
  })

  it('says that it is not after enough bad ones, and why', () => {
    const answers = ['503', '503', '', '503', '503', '503', '503']
    expect(heard(answers, ready)).toEqual([ready, ready, ready, ready, ready, down, down])
  })

  it('says so of one that never was ready, and when the cause is another', () => {
    const refused = { ready: false, cause: 'refused' }
    const answers = ['refused', 'refused', 'refused', '503', '503', '503']
    const told = heard(answers)
    expect(told.slice(2)).toEqual([refused, refused, refused, down])
  })

  it('goes on where another agent left off', () => {
    expect(heard(['503', ''], ready)).toEqual([ready, ready])
  })

  it('has limits and defaults', () => {
    const nothing = { httpGet: '', port: 1, periodMs: 0, timeoutMs: 0 }
    expect(usableProbe({ ...nothing, failureThreshold: 0, successThreshold: 0 })).toMatchObject({
      periodMs: 1_000,
      timeoutMs: 1_000,
      failureThreshold: 3,
      successThreshold: 1,
    })
    const wild = { periodMs: 1, timeoutMs: 1e9, failureThreshold: 1e6, successThreshold: 1e6 }
    expect(usableProbe({ ...nothing, ...wild })).toMatchObject({
      periodMs: 100,
      timeoutMs: 60_000,
      failureThreshold: 100,
      successThreshold: 100,
    })
  })
})
