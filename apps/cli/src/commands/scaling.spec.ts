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
    expect(bench.out).toMatch(/chat +a +1\/2 replicas ready \(0-4\) +automatic +manual /)
    // The decision is of the time before the user's: nobody asks for it now.
    expect(bench.out).toMatch(/a user decides$/m)
    expect(bench.out).not.toContain('1 → 2')
    expect(bench.out).toContain('devices: 4, 3 held by these, 1 by others')
    targets = []
    bench.out = ''
    await sai('list')
    expect(bench.out).toContain('nothing is scaled')
  })

  it.each([
    [{}, 'more replicas: 1 → 2 (predictive, which wanted 3)'],
    [{ from: 3, policyWanted: 2 }, 'fewer replicas: 3 → 2 (predictive)'],
    [{ from: 2, outcome: 'HELD' }, 'stays at 2 replicas (predictive, which wanted 3)'],
    [
      { outcome: 'ADVISED' },
      'advice, not carried out: more replicas: 1 → 2 (predictive, which wanted 3)',
    ],
    // Three were ordered once, one task runs, and devices for another one are free.
    [
      { from: 3, policyWanted: 1, policy: 'share' },
      'training gets devices: 1 → 2 tasks; the order before was 3',
    ],
    [{ from: 4, policyWanted: 4, policy: 'share' }, 'training gives way: 4 → 2 tasks'],
    [{ from: 2, policyWanted: 2, policy: 'share' }, 'training keeps 2 tasks'],
  ])('tells a decision in plain words: %j', async (decision, words) => {
    targets = [{ ...TARGET, blocked: '', decision: { ...DECISION, ...decision } }]
    expect(await sai('list')).toBe(0)
    expect(bench.out).toContain(` ${words}\n`)
    expect(bench.out).not.toContain('asked for')
  })

  it('tells that the scheduler refused', async () => {
    targets = [{ ...TARGET, blocked: 'SCHEDULER_REFUSED' }]
    await sai('list')
    expect(bench.out).toMatch(/automatic +refused .*more replicas: 1 → 2/)
  })

  it('tells advice while a user decides', async () => {
    targets = [{ ...TARGET, decision: { ...DECISION, outcome: 'ADVISED' } }]
    await sai('list')
    expect(bench.out).toContain('advice, not carried out: more replicas: 1 → 2')
  })

  it('says why, with what was known, believed and not taken', async () => {
    expect(await sai('why', 'chat')).toBe(0)
    for (const part of [
      'manual (mode automatic)',
      'decisions are not carried out: a user decides; `sai job scale --auto` gives it back',
      'start-up 0.8 s, a replica bears 12.5 requests/s',
      'its mode is automatic from now on [MODE_SET]',
      'stays: a change would be too soon (need 3) [SETTLING]',
      'more were needed than there are devices for (limit 2) [AT_BUDGET]',
      'not 4: it would cost more [COSTS_MORE]',
      'arrivals: requests 120, 0.4 s old',
      'held: not known, not used: UNKNOWN',
      'believed: demandPerS 118.5, keepMs 20000\n',
    ]) {
      expect(bench.out).toContain(part)
    }
    expect(bench.out.indexOf('MODE_SET')).toBeLessThan(bench.out.indexOf('more replicas: 1'))
    expect(await sai('why', 'other')).toBe(4)
  })

  it('asks for the past by position, time, or how long ago', async () => {
    await sai('why', 'chat', '--at', 'autoscaler:0:12:3')
    await sai('why', 'chat', '--at', '2026-11-22T12:00:00Z')
    expect(explained).toMatchObject([
      { untilMs: 0n, atPosition: 'autoscaler:0:12:3' },
      { untilMs: 1_795_348_800_000n, atPosition: '' },
    ])
    expect(bench.out).toContain('now: ')
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
