import { describe, expect, it } from 'vitest'
import { addToken, configOf, defaultSettings, leftOut, tokensFile } from './settings.ts'

describe('services', () => {
  it('that nobody named and nobody needs are left out', () => {
    expect(leftOut(['scheduler'])).toEqual([
      'sla-monitor',
      'autoscaler',
      'resource-profiler',
      'gateway',
    ])
    expect(leftOut(['gateway', 'sla-monitor'])).toEqual(['autoscaler', 'resource-profiler'])
  })

  it('that a named one needs come with it', () => {
    expect(leftOut(['autoscaler'])).toEqual(['gateway'])
  })

  it('must be there: the message names those that are', () => {
    const names: readonly string[] = ['scheduler', 'planner']
    expect(() => leftOut(names as never)).toThrow(
      /^no service planner; there are: mediator, .*gateway$/,
    )
  })
})

describe('tokens', () => {
  const token = 'a-token-of-a-test'

  it('are handed to the platform, which makes the others', () => {
    const tokens = addToken({}, { identity: 'team-b', token })
    const file = JSON.parse(tokensFile({ tokens }) ?? '')
    expect(file).toEqual({
      service: expect.stringMatching(/^\w{48}$/),
      admin: expect.stringMatching(/^\w{48}$/),
      tenants: { 'team-b': token },
      nodes: {},
    })
    expect(tokensFile({ tokens: { admin: token } })).toContain(`"admin":"${token}"`)
  })

  it('are all made by the platform where none is given', () => {
    expect(tokensFile(defaultSettings())).toBeUndefined()
  })

  it.each(['short', 'sixteen or more characters', ''])('are long and without spaces: %j', (bad) => {
    const add = () => addToken({}, { identity: 'admin', token: bad })
    expect(add).toThrow('the token of admin needs 16 or more characters without spaces')
  })

  it('belong to one identity', () => {
    const tokens = addToken({}, { identity: 'team-a', token })
    expect(addToken(tokens, { identity: 'team-a', token })).toEqual({ 'team-a': token })
    const again = () => addToken(tokens, { identity: 'team-b', token })
    expect(again).toThrow('team-a has the token of team-b already')
  })
})

describe('configuration', () => {
  it('says nothing of what nobody asked for', () => {
    expect(configOf(defaultSettings())).toEqual({ quickstart: false, nodes: 3 })
  })

  it('keeps no snapshots where all is replayed, whatever else is said', () => {
    const config = { leaseMs: 2_000, snapshots: { kind: 'directory' } }
    expect(configOf({ ...defaultSettings(), config, replayAlways: true })).toMatchObject({
      leaseMs: 2_000,
      snapshots: { kind: 'none' },
    })
  })

  it('names what is left out', () => {
    const without = leftOut(['autoscaler'])
    expect(configOf({ ...defaultSettings(), without })).toMatchObject({ without: ['gateway'] })
  })
})
