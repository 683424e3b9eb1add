import { Commit_Kind } from '@serverless-ai/eventlog'
import { describe, expect, it } from 'vitest'
import { Logs } from './testing/logs.ts'

const TYPE = 'serverlessai.events.v1.Anything'
const event = (key: string) => ({ type: TYPE, key, payload: Buffer.from(key) })

describe('the arbitration of the checkers', () => {
  it('follows epochs, copies, yields and late sends of older epochs', () => {
    const logs = new Logs()
    logs.commit('scheduler', { publics: [event('a')] })
    const first = logs.log('scheduler').last
    logs.commit('scheduler', { kind: 'tick' })
    logs.land('scheduler', first)
    logs.commit('scheduler', { kind: 'yield' })
    logs.claim('scheduler')
    logs.land('scheduler', first)
    logs.commit('scheduler', { publics: [event('b'), event('c')] })
    logs.publish('scheduler')
    logs.observe({ kind: 'settled', atMs: logs.nowMs })
    expect(logs.alarms).toEqual([])
  })

  it('does not take a commit after a yield, nor its public events', () => {
    const logs = new Logs()
    logs.commit('scheduler', { kind: 'yield' })
    logs.commit('scheduler', { publics: [event('a')] })
    expect(logs.alarms).toEqual([])
    logs.publish('scheduler')
    expect(logs.caught).toEqual(['topic'])
  })

  it.each([
    ['an epoch is left out', (logs: Logs) => logs.claim('scheduler', { epoch: 3 })],
    ['positions are not dense', (logs: Logs) => (logs.log('scheduler').end += 1)],
    ['a commit of an epoch nobody claimed', (logs: Logs) => (logs.log('scheduler').epoch += 1)],
    ['a number is left out', (logs: Logs) => (logs.log('scheduler').sequence += 1)],
    ['the chain is another', (logs: Logs) => (logs.log('scheduler').chain = Buffer.alloc(32, 1))],
    ['a public seq is left out', (logs: Logs) => (logs.log('scheduler').publicSeq += 1)],
    ['bytes that are no record', (logs: Logs) => logs.land('scheduler', Buffer.from([0xff, 0x01]))],
  ])('raises an alarm when %s', (_, breach) => {
    const logs = new Logs()
    logs.commit('scheduler', { publics: [event('a')] })
    breach(logs)
    logs.commit('scheduler', { publics: [event('b')] })
    expect(logs.caught).toContain('log')
    expect(logs.alarms[0]?.message).toMatch(/scheduler log \d+ \(landed at/)
  })

  it('raises an alarm when a claim id opens a second epoch', () => {
    const logs = new Logs()
    logs.claim('scheduler', { claimId: 'the same, again.' })
    logs.claim('scheduler', { claimId: 'the same, again.' })
    expect(logs.caught).toEqual(['log'])
  })

  it('raises an alarm when a number of an epoch is used for other content, void or not', () => {
    const logs = new Logs()
    logs.commit('scheduler', { events: [{ type: 'A' }] })
    const log = logs.log('scheduler')
    log.sequence -= 1
    logs.commit('scheduler', { events: [{ type: 'B' }] })
    expect(logs.caught).toEqual(['log'])
    expect(logs.alarms[0]?.message).toContain('a number is never used again')
  })

  it('raises an alarm for a tick with events and for log time that goes back', () => {
    const logs = new Logs()
    logs.commit('scheduler', { atMs: 5_000 })
    logs.commit('scheduler', {
      events: [{ type: 'A' }],
      change: (commit) => ({ ...commit, kind: Commit_Kind.TICK }),
      atMs: 5_000,
    })
    logs.commit('scheduler', { atMs: 4_000 })
    expect(logs.alarms.map(({ message }) => message)).toEqual([
      expect.stringContaining('is a tick with events'),
      expect.stringContaining('log time went back'),
    ])
  })
})

describe('the topic of public events', () => {
  const three = (): Logs => {
    const logs = new Logs()
    logs.commit('scheduler', { publics: [event('a'), event('b'), event('c')] })
    return logs
  }

  it('may hold copies, in any number', () => {
    const logs = three()
    const [a, b] = logs.log('scheduler').unpublished
    logs.publishOne('scheduler', a!)
    logs.publishOne('scheduler', b!)
    logs.publishOne('scheduler', a!)
    logs.publish('scheduler')
    logs.observe({ kind: 'settled', atMs: logs.nowMs })
    expect(logs.alarms).toEqual([])
  })

  it.each([
    ['leaves one out', (logs: Logs) => logs.log('scheduler').unpublished.shift()],
    [
      'says another thing than the log',
      (logs: Logs) => {
        const { unpublished } = logs.log('scheduler')
        unpublished[1] = { ...unpublished[1]!, payload: Buffer.from('other') }
      },
    ],
    [
      'holds what no effective commit says',
      (logs: Logs) => logs.log('scheduler').unpublished.push({ ...event('d'), seq: 4, atMs: 0 }),
    ],
    ['ends before the log', (logs: Logs) => logs.log('scheduler').unpublished.pop()],
  ])('raises an alarm when it %s', (_, breach) => {
    const logs = three()
    breach(logs)
    logs.publish('scheduler')
    logs.observe({ kind: 'settled', atMs: logs.nowMs })
    expect(logs.caught).toEqual(['topic'])
  })
})
