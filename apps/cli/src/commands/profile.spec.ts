import {
  ExplainProfileResponse,
  ForecastResponse,
  Profile,
  ProfileServiceService,
} from '@serverless-ai/contracts/profile/v1/profile'
import { RpcError } from '@serverless-ai/kernel'
import { beforeEach, describe, expect, it } from 'vitest'
import { Bench } from '../testing/bench.ts'

const JOB = 'j-0-0123456789ab'
const PROFILE = Profile.fromJSON({
  jobId: JOB,
  tenant: 'a',
  name: 'train',
  kind: 'Training',
  open: true,
  iteration: {
    basis: {
      source: 'reported-steps, clock of the task',
      samples: '18',
      spanMs: '17100',
      ageMs: '400',
    },
    periodUs: '21400',
    periodLowUs: '21200',
    periodHighUs: '21600',
  },
  cpuMillis: {
    basis: { source: 'procfs', samples: '90', spanMs: '90000' },
    p50: 400,
    p95: 431.5,
    peak: 480,
    mean: 402,
  },
  memoryMib: {
    basis: { unknown: 'STALE', source: 'procfs', samples: '90', ageMs: '300000' },
    p50: 100,
    p95: 101,
    peak: 102,
    mean: 100,
  },
  memoryGrowthMib: { basis: { unknown: 'FEW_SAMPLES' } },
  deviceBusyPct: { basis: { unknown: 'NO_READING' } },
  deviceMemoryMib: { basis: { unknown: 'NO_READING' } },
  burstiness: {
    basis: { source: 'procfs', samples: '90' },
    cpuVariation: 0.31,
    cpuPeakToMean: 1.2,
  },
  startUp: {
    placedToStarted: {
      basis: { source: 'events', samples: '3' },
      p50Ms: '850',
      p90Ms: '1900',
      maxMs: '1900',
    },
    startedToReady: { basis: { unknown: 'FEW_STARTS' } },
  },
  checkpoint: {
    basis: { source: 'events', samples: '4', spanMs: '60000' },
    bytes: '3145728',
    intervalP50Ms: '20000',
    intervalSteps: '100',
  },
  advice: [
    {
      dimension: 'cpu_millis',
      basis: { source: 'procfs', samples: '90', spanMs: '90000' },
      requested: 1000,
      recommended: 497,
      lower: 400,
      upper: 552,
      confidencePpm: 369_000,
    },
    { dimension: 'memory_mib', basis: { unknown: 'GROWING' }, requested: 256 },
  ],
})
const FORECAST = ForecastResponse.fromJSON({
  jobId: JOB,
  bucketMs: '10000',
  newestMs: '1795305600000',
  series: [
    {
      series: 'arrivals',
      basis: { source: 'gateway', samples: '90' },
      level: 51.2,
      dispersion: 2.25,
      points: [
        { startMs: '1795305610000', expected: 52, low: 40, high: 66 },
        { startMs: '1795305620000', expected: 53, low: 39, high: 70 },
      ],
      quality: [{ ahead: 1, judged: '89', inside: '81' }],
    },
    { series: 'tokens', basis: { unknown: 'NO_READING' } },
  ],
})

let bench: Bench
let horizons: bigint[]
beforeEach(async () => {
  horizons = []
  bench = new Bench()
  const position = 'resource-profiler:0:1:1'
  const known = (jobId: string) => {
    if (jobId === JOB) return
    throw new RpcError({ code: 'NOT_FOUND', reason: 'JOB_NOT_FOUND', message: jobId })
  }
  bench.more = (server) =>
    server.add(ProfileServiceService, {
      getProfile: async ({ jobId }) => {
        known(jobId)
        return { profile: PROFILE, position }
      },
      listProfiles: async ({ pageToken }) => {
        const profiles = pageToken === '' ? [PROFILE] : []
        return { profiles, nextPageToken: pageToken === '' ? 'x' : '', position }
      },
      forecast: async ({ jobId, horizonMs }) => {
        known(jobId)
        horizons.push(horizonMs)
        return FORECAST
      },
      explainProfile: async () => {
        const details = { periodUs: 'unknown -> 21400' }
        const story = [{ atMs: '1795305600000', code: 'PROFILE_KNOWN', details }]
        return ExplainProfileResponse.fromJSON({ story, position })
      },
    })
  await bench.open()
  await bench.writeContexts()
})

const sai = (...argv: string[]) => bench.sai('profile', ...argv, '--data', bench.directory)

describe('sai profile', () => {
  it('lists profiles', async () => {
    expect(await sai()).toBe(0)
    expect(bench.out).toMatch(/train +j-0-0123456789ab +open +21\.4 ms +431\.5m +102 MiB/)
    expect(await sai('--json')).toBe(0)
    expect(JSON.parse(bench.out).profiles).toHaveLength(1)
  })

  it('shows what is known, on what it stands, and why the rest is not known', async () => {
    expect(await sai(JOB)).toBe(0)
    for (const told of [
      '21.4 ms (90 %: 21.2 ms to 21.6 ms)',
      '18 of reported-steps, clock of the task over 17 s, 0.4 s old',
      'p50 400, p95 431.5, peak 480 m',
      'peak 102 MiB, not known: what is known is too old (STALE)',
      'not known: nothing measures this (NO_READING)',
      'variation 0.31, peak 1.2 × mean',
      'p50 0.8 s, p90 1.9 s, longest 1.9 s',
      '3 MiB, every 20 s (100 steps)',
    ]) {
      expect(bench.out).toContain(told)
    }
    expect(bench.out).toMatch(/CPU of a task +1000m +497m +400 to 552m +36\.9 %, 90 of procfs/)
    expect(bench.out).toMatch(/memory of a task +256 MiB +- +- +not known: it grows/)
    expect(await sai('j-0-000000000000')).toBe(4)
  })

  it('shows the load to come, and the story', async () => {
    expect(await sai(JOB, '--forecast', '--horizon', '20')).toBe(0)
    expect(horizons).toEqual([20_000n])
    expect(bench.out).toContain('level 51.2, dispersion 2.25; intervals held 81 of 89')
    expect(bench.out).toMatch(/\+ 10 s +53 +39 to 70/)
    expect(bench.out).toContain('tokens: not known: nothing measures this (NO_READING)')
    expect(await sai(JOB, '--explain')).toBe(0)
    expect(bench.out).toContain('PROFILE_KNOWN  periodUs=unknown -> 21400')
    expect(await sai(JOB, '--forecast', '--horizon', '5')).toBe(2)
  })
})
