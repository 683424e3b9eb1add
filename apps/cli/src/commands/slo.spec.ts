import {
  BurnState,
  type CreateObjectiveRequest,
  Objective,
  ObjectiveServiceService,
  ObjectiveStatus,
  Statement,
  TelemetrySource,
} from '@serverless-ai/contracts/objective/v1/objective'
import { StoryEntry } from '@serverless-ai/contracts/schedule/v1/schedule'
import { RpcError } from '@serverless-ai/kernel'
import { beforeEach, describe, expect, it } from 'vitest'
import { Bench } from '../testing/bench.ts'
import { span } from './slo-text.ts'

const RULE = {
  severity: 'SEVERITY_PAGE',
  budgetPpm: 20_000,
  longWindowMs: '3600000',
  shortWindowMs: '300000',
  burnMilli: '14400',
  minBad: 5,
  minRatePerHour: '10',
  outageDetectionMs: '51840',
  falseAlertsMicro: '380000',
  powerMicro: 25_000,
}
const OBJECTIVE = Objective.fromJSON({
  objectiveId: 'o-0-0123456789ab',
  name: 'fast',
  tenant: 'a',
  indicator: 'INDICATOR_E2E',
  service: 'chat',
  targetPpm: 999_000,
  thresholdUs: '250000',
  windowMs: '2592000000',
  minSample: 10,
  rules: [RULE],
})
const STATUS = ObjectiveStatus.fromJSON({
  state: 'BREACHED',
  objective: Objective.toJSON(OBJECTIVE),
  counts: { good: '9900', bad: '100', excluded: '3' },
  attainedPpm: 990_000,
  budgetLeftPpm: '-9000000',
  breaches: [{ breachId: 'b-0-1', rule: RULE, fromMs: '1', longBurnMilli: '15200' }],
  actions: [{ step: { action: 'ACTION_SHED', class: 'batch' }, atMs: '1' }],
  dataState: 'SILENT',
  atMs: '20000',
})
const BURNS = [
  { rule: RULE, longBurnMilli: '15200', shortBurnMilli: '90000', breachId: 'b-0-1' },
  { rule: RULE, longEvents: '4', longBad: '1', heldBy: 'FEW_EVENTS' },
].map((burn) => BurnState.fromJSON(burn))
const SOURCE = TelemetrySource.fromJSON({
  source: 'gateway/r1',
  state: 'SILENT',
  heardMs: '1000',
  lostBatches: '2',
  missingBatches: '1',
  lateSamples: '7',
})

let bench: Bench
let created: CreateObjectiveRequest[]
let deleted: string[]
beforeEach(async () => {
  created = []
  deleted = []
  bench = new Bench()
  const position = 'sla-monitor:0:1:1'
  const known = (typed: string) => {
    if (typed === 'fast' || typed === OBJECTIVE.objectiveId) return
    throw new RpcError({ code: 'NOT_FOUND', reason: 'OBJECTIVE_NOT_FOUND', message: typed })
  }
  bench.more = (server) =>
    server.add(ObjectiveServiceService, {
      createObjective: async (request) => {
        created.push(request)
        if (request.objective?.targetPpm === 900_000) {
          throw new RpcError({
            code: 'FAILED_PRECONDITION',
            reason: 'ALERT_CANNOT_FIRE',
            message: 'rule 0 can never fire. Mend: a target of at least 93.0556 %',
          })
        }
        return { objective: OBJECTIVE, position }
      },
      updateObjective: () => Promise.reject(new Error('not here')),
      deleteObjective: async ({ objectiveId }) => {
        deleted.push(objectiveId)
        return { position }
      },
      getObjective: async ({ objective }) => {
        known(objective)
        return { objective: OBJECTIVE, position }
      },
      listObjectives: async ({ pageToken }) => {
        const objectives = pageToken === '' ? [STATUS] : []
        return { objectives, nextPageToken: pageToken === '' ? 'x' : '', position }
      },
      getObjectiveStatus: async ({ objective }) => {
        known(objective)
        return { status: { ...STATUS, burns: BURNS }, sources: [SOURCE], position }
      },
      getLedger: async () => {
        const day = { tenant: 'a', counts: { good: '999', bad: '1' }, dayMs: '1795305600000' }
        const one = Statement.fromJSON({ ...day, number: '3', hash: 'ab'.repeat(32) })
        return { statements: [one], open: [Statement.fromJSON(day)], position }
      },
      explainObjective: async () => {
        const details = { breach: 'b-0-1', longBad: '100' }
        const entry = { atMs: '1795305600000', code: 'OBJECTIVE_BREACHED', details }
        return { story: [StoryEntry.fromJSON(entry)], position }
      },
    })
  await bench.open()
  await bench.writeContexts()
})

const sai = (...argv: string[]) => bench.sai('slo', ...argv, '--data', bench.directory)

describe('sai slo', () => {
  it('lists objectives and how they stand', async () => {
    expect(await sai('list')).toBe(0)
    expect(bench.out).toMatch(/fast +a +BREACHED \(SILENT\) +99 % +-900 % +10000 +99\.9 % e2e/)
    expect(await sai('list', '--json')).toBe(0)
    expect(JSON.parse(bench.out).objectives).toHaveLength(1)
  })

  it('shows budget, burn rates, and what the numbers stand on', async () => {
    expect(await sai('status', 'fast')).toBe(0)
    for (const told of [
      '99.9 % e2e within 250 ms over 30 d; tenant a, service chat',
      '99 % of 10000 (100 bad); 3 excluded',
      'budget left -900 %',
      'SILENT: no alert ends',
      'asked for   shed batch since',
      'gateway/r1: SILENT, heard 19 s ago, loss known: 3 batches, 0 samples, 7 late',
    ]) {
      expect(bench.out).toContain(told)
    }
    expect(bench.out).toMatch(/page +2 % in 1 h \(and 5 min\) +14\.4 +15\.2 +90 +0 of 0 +ALERT/)
    expect(bench.out).toMatch(/1 of 4 +held: too few events/)
    expect(await sai('status', 'none')).toBe(4)
  })

  it('declares one, and says what its alerts can do', async () => {
    const flags = ['--indicator', 'e2e', '--target', '99.9', '--within', '250ms']
    const more = ['--service', 'chat', '--rule', 'page:2%:1h:5m', '--rule', 'ticket:10%:3d']
    const acts = ['--on-page', 'scale', '--on-page', 'shed:batch@30s', '--on-ticket', 'credit']
    expect(await sai('create', 'fast', ...flags, ...more, ...acts, '--exclude-shed')).toBe(0)
    expect(created[0]?.requestId).not.toBe('')
    expect(created[0]?.objective).toMatchObject({
      name: 'fast',
      targetPpm: 999_000,
      thresholdUs: 250_000n,
      windowMs: 2_592_000_000n,
      exclusions: { shed: true },
      rules: [
        { budgetPpm: 20_000, longWindowMs: 3_600_000n, shortWindowMs: 300_000n },
        { budgetPpm: 100_000, longWindowMs: 259_200_000n, shortWindowMs: 0n },
      ],
      actions: [{ afterMs: 0n }, { class: 'batch', afterMs: 30_000n }, { afterMs: 0n }],
    })
    expect(bench.out).toMatch(
      /page +2 % in 1 h .* 14\.4 +52 s +10\/h, 5 bad of 10 +2\.5 % +< 0\.38/,
    )
    expect(await sai('create', 'fast', ...flags, '--dry-run')).toBe(0)
    expect(created[1]?.validateOnly).toBe(true)
    expect(bench.out).toContain('not declared')
  })

  it('tells what cannot fire with the mend, and what was typed wrongly', async () => {
    const flags = ['--indicator', 'e2e', '--within', '2s']
    expect(await sai('create', 'slow', ...flags, '--target', '90')).toBe(3)
    expect(bench.err).toContain('93.0556 %')
    const asked = created.length
    for (const wrong of [
      ['--indicator', 'speed', '--target', '99', '--within', '2s'],
      ['--indicator', 'e2e', '--target', 'most', '--within', '2s'],
      ['--indicator', 'e2e', '--target', '99', '--within', '2 minutes'],
      ['--indicator', 'e2e', '--target', '99'],
      ['--indicator', 'availability', '--target', '99', '--within', '2s'],
      [...flags, '--target', '99', '--rule', 'page:2%'],
      [...flags, '--target', '99', '--on-page', 'dance'],
    ]) {
      expect(await sai('create', 'x', ...wrong), wrong.join(' ')).toBe(2)
    }
    expect(created).toHaveLength(asked)
  })

  it('shows ledger and story, and ends an objective', async () => {
    expect(await sai('ledger', 'fast')).toBe(0)
    expect(bench.out).toMatch(/3 +2026-11-22 +a +99\.9 % +999 +1 +0 +0 +0 +0 +abababababababab/)
    expect(bench.out).toMatch(/open +2026-11-22/)
    expect(await sai('explain', 'fast')).toBe(0)
    expect(bench.out).toContain('OBJECTIVE_BREACHED  breach=b-0-1 longBad=100')
    expect(await sai('delete', 'fast')).toBe(0)
    expect(deleted).toEqual([OBJECTIVE.objectiveId])
  })

  it('says times in whole units', () => {
    expect([5_000, 90_000, 3_600_000, 259_200_000, 250].map(span)).toEqual([
      '5 s',
      '90 s',
      '1 h',
      '3 d',
      '250 ms',
    ])
  })
})
