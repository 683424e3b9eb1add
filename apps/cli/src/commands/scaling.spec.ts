import {
  type ExplainRequest,
  ExplainResponse,
  ListTargetsResponse,
  Mode,
  ScalingServiceService,
  type SetModeRequest,
  Target,
} from '@serverless-ai/contracts/scaling/v1/scaling'
import { RpcError } from '@serverless-ai/kernel'
import { beforeEach, describe, expect, it } from 'vitest'
import { Bench } from '../testing/bench.ts'
import { momentOf } from './scaling.ts'

const DECISION = {
  decisionId: 'd-0-52',
  atMs: '1000',
  jobId: 'j-0-1',
  from: 1,
  wanted: 2,
  policyWanted: 3,
  granted: 1,
  outcome: 'APPLIED',
  policy: 'predictive',
  policyVersion: 1,
  hold: { code: 'SETTLING', numbers: [{ name: 'need', value: '3' }] },
  notes: [{ code: 'AT_BUDGET', numbers: [{ name: 'limit', value: '2' }] }],
  rejected: [{ wanted: 4, why: { code: 'COSTS_MORE' } }],
  inputs: [
    { name: 'arrivals', ageMs: '400', numbers: [{ name: 'requests', value: '120' }] },
    { name: 'held', unused: 'UNKNOWN' },
  ],
  model: [
    { name: 'demandPerS', value: '118500' },
    { name: 'plannedMissPpm', value: '-1' },
    { name: 'keepMs', value: '20000' },
  ],
}
const TARGET = {
  jobId: 'j-0-1',
  name: 'chat',
  tenant: 'a',
  scale: { unit: 'UNIT_REPLICAS', max: 4, wanted: 2, granted: 1, ready: 1 },
  mode: 'MODE_AUTOMATIC',
  settings: { policy: 'predictive', idleMs: '60000' },
  devicesEach: 1,
  decision: DECISION,
  blocked: 'OWNED',
  startupMs: '800',
  capacityMilli: '12500',
}

let bench: Bench
let explained: ExplainRequest[]
let modes: SetModeRequest[]
let targets: object[]
beforeEach(async () => {
  explained = []
  modes = []
  targets = [TARGET]
  bench = new Bench()
  bench.more = (server) =>
    server.add(ScalingServiceService, {
      demand: () => Promise.reject(new Error('not here')),
      getTarget: () => Promise.reject(new Error('not here')),
      listTargets: async () =>
        ListTargetsResponse.fromJSON({
          targets,
          budget: { devices: 4, heldByTargets: 3, heldByOthers: 1 },
        }),
      explain: async (request) => {
        explained.push(request)
        if (request.target !== 'chat') {
          throw new RpcError({ code: 'NOT_FOUND', reason: 'TARGET_NOT_FOUND', message: 'none' })
        }
        const story = [{ atMs: '900', code: 'MODE_SET', details: { mode: 'automatic' } }]
        return ExplainResponse.fromJSON({ target: TARGET, decisions: [DECISION], story })
      },
      setMode: async (request) => {
        modes.push(request)
        return { target: Target.fromJSON({ ...TARGET, mode: 'MODE_ADVISE' }), position: '' }
      },
    })
  await bench.open()
  await bench.writeContexts()
})

const sai = (...argv: string[]) => bench.sai('scale', ...argv, '--data', bench.directory)

describe('sai scale', () => {
  it('lists what is scaled, with the last decision and the devices', async () => {
    expect(await sai('list')).toBe(0)
    expect(bench.out).toMatch(/chat +a +1\/2 replicas ready \(0-4\) +automatic +owned /)
    expect(bench.out).toContain('asked for 1 → 2 (predictive, it wanted 3)')
    expect(bench.out).toContain('devices: 4, 3 held by these, 1 by others')
    targets = []
    bench.out = ''
    await sai('list')
    expect(bench.out).toContain('nothing is scaled')
  })

  it('says why, with what was known, believed and not taken', async () => {
    expect(await sai('why', 'chat')).toBe(0)
    for (const part of [
      'a user decides; `sai job scale --auto` gives it back',
      'start-up 0.8 s, a replica bears 12.5 requests/s',
      'mode_set mode=automatic',
      'stays: SETTLING (need 3)',
      'AT_BUDGET (limit 2)',
      'not 4: COSTS_MORE',
      'arrivals: requests 120, 0.4 s old',
      'held: not known, not used: UNKNOWN',
      'believed: demandPerS 118.5, keepMs 20000\n',
    ]) {
      expect(bench.out).toContain(part)
    }
    expect(bench.out.indexOf('mode_set')).toBeLessThan(bench.out.indexOf('asked for'))
    expect(await sai('why', 'other')).toBe(4)
  })

  it('asks for the past by position, time, or how long ago', async () => {
    await sai('why', 'chat', '--at', 'autoscaler:0:12:3')
    await sai('why', 'chat', '--at', '2026-11-22T12:00:00Z')
    expect(explained).toMatchObject([
      { untilMs: 0n, atPosition: 'autoscaler:0:12:3' },
      { untilMs: 1_795_348_800_000n, atPosition: '' },
    ])
    expect(momentOf('10m', 1_000_000)).toEqual({ untilMs: 400_000n, atPosition: '' })
    expect(await sai('why', 'chat', '--at', 'noon')).toBe(2)
  })

  it('sets the mode', async () => {
    expect(await sai('mode', 'chat', 'advise')).toBe(0)
    expect(modes).toMatchObject([{ target: 'chat', mode: Mode.ADVISE }])
    expect(bench.out).toContain('advise')
    expect(await sai('mode', 'chat', 'sometimes')).toBe(2)
  })
})
