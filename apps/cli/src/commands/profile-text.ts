/** Profiles and forecasts as people read them. */
import type {
  Advice,
  Basis,
  DurationProfile,
  ForecastResponse,
  Profile,
  UsageProfile,
} from '@serverless-ai/contracts/profile/v1/profile'
import { bytes, duration, plain, table } from '../output/text.ts'

/** Why something is not known, in words. */
const WHY: Readonly<Record<string, string>> = {
  NOT_RUNNING: 'it does not run',
  NOT_TRAINING: 'a service has no iterations',
  NO_STEPS: 'it reports no steps, and no measurements came',
  FEW_STEPS: 'too few steps yet',
  NO_TELEMETRY: 'no measurements came',
  FEW_SAMPLES: 'too few measurements yet',
  NO_READING: 'nothing measures this',
  STEADY: 'CPU use shows no bursts',
  NO_PERIOD: 'bursts of CPU use do not return',
  TOO_COARSE: 'measurements are too far apart',
  UNSTEADY: 'what was measured contradicts itself',
  GROWING: 'it grows: no end is in sight',
  STALE: 'what is known is too old',
  FEW_STARTS: 'no start was seen whole',
  NO_CHECKPOINTS: 'no checkpoint was reported',
  NO_LOAD: 'no request came',
  HISTORY_SHORT: 'too little history yet',
}

const because = (basis: Basis | undefined): string => {
  const code = basis?.unknown ?? ''
  return `not known: ${WHY[code] ?? code} (${code})`
}

const isUnknown = (basis: Basis | undefined): boolean => (basis?.unknown ?? '') !== ''

/** `18 of reported-steps over 17 s, 0.4 s old`. */
function standsOn(basis: Basis | undefined): string {
  if (basis === undefined || basis.source === '') return '-'
  const span = basis.spanMs > 0n ? ` over ${duration(Number(basis.spanMs))}` : ''
  const age = basis.ageMs > 0n ? `, ${duration(Number(basis.ageMs))} old` : ''
  return plain(`${basis.samples} of ${basis.source}${span}${age}`)
}

const dot = (value: number): string => String(Number(value.toPrecision(4)))

const microseconds = (us: bigint): string =>
  us >= 1_000_000n ? `${dot(Number(us) / 1e6)} s` : `${dot(Number(us) / 1e3)} ms`

const iterationRow = ({ iteration }: Profile): string[] => {
  const { basis, periodUs, periodLowUs = 0n, periodHighUs = 0n } = iteration ?? {}
  if (periodUs === undefined) return ['iteration', because(basis), standsOn(basis)]
  const ends = `${microseconds(periodLowUs)} to ${microseconds(periodHighUs)}`
  return ['iteration', `${microseconds(periodUs)} (90 %: ${ends})`, standsOn(basis)]
}

/** A stale one is told with its age, and that it is. */
function usageRow(name: string, usage: UsageProfile | undefined, unit: string): string[] {
  const { basis, p50, p95, peak } = usage ?? {}
  if (p50 === undefined || p95 === undefined || peak === undefined) {
    return [name, because(basis), standsOn(basis)]
  }
  const stale = isUnknown(basis) ? `, ${because(basis)}` : ''
  const numbers = `p50 ${dot(p50)}, p95 ${dot(p95)}, peak ${dot(peak)} ${unit}${stale}`
  return [name, numbers, standsOn(basis)]
}

const durationText = (of: DurationProfile | undefined): string => {
  const { basis, p50Ms, p90Ms = 0n, maxMs = 0n } = of ?? {}
  if (p50Ms === undefined) return because(basis)
  const [p50, p90, max] = [p50Ms, p90Ms, maxMs].map((ms) => duration(Number(ms)))
  return `p50 ${p50}, p90 ${p90}, longest ${max}`
}

function burstinessRow({ burstiness }: Profile): string[] {
  const { basis, cpuVariation, cpuPeakToMean } = burstiness ?? {}
  if (cpuVariation === undefined || cpuPeakToMean === undefined) {
    return ['burstiness', because(basis), standsOn(basis)]
  }
  const text = `variation ${dot(cpuVariation)}, peak ${dot(cpuPeakToMean)} × mean`
  return ['burstiness', text, standsOn(basis)]
}

function growthRow({ memoryGrowthMib }: Profile): string[] {
  const { basis, perHour } = memoryGrowthMib ?? {}
  const text = perHour === undefined ? because(basis) : `${dot(perHour)} MiB/h`
  return ['memory growth', text, standsOn(basis)]
}

function checkpointRow({ checkpoint }: Profile): string[] {
  const { basis, bytes: size, intervalP50Ms, intervalSteps, pauseMs } = checkpoint ?? {}
  if (size === undefined) return ['checkpoint', because(basis), standsOn(basis)]
  const every = intervalP50Ms === undefined ? '' : `, every ${duration(Number(intervalP50Ms))}`
  const steps = intervalSteps === undefined ? '' : ` (${intervalSteps} steps)`
  const pause = pauseMs === undefined ? '' : `, stops it for ${duration(Number(pauseMs))}`
  return ['checkpoint', `${bytes(Number(size))}${every}${steps}${pause}`, standsOn(basis)]
}

const DIMENSIONS: Readonly<Record<string, readonly [name: string, unit: string]>> = {
  cpu_millis: ['CPU of a task', 'm'],
  memory_mib: ['memory of a task', ' MiB'],
  devices: ['devices of a task', ''],
}

function adviceRow(advice: Advice): string[] {
  const { dimension, basis, requested, recommended, lower = 0, upper = 0, confidencePpm } = advice
  const [name, unit] = DIMENSIONS[dimension] ?? [dimension, '']
  const asked = requested === 0 ? '-' : `${dot(requested)}${unit}`
  if (recommended === undefined) return [name, asked, '-', '-', because(basis)]
  const range = `${dot(lower)} to ${dot(upper)}${unit}`
  const sure = `${dot(confidencePpm / 10_000)} %`
  return [name, asked, `${dot(recommended)}${unit}`, range, `${sure}, ${standsOn(basis)}`]
}

/** A profile. */
export function profileText(profile: Profile): string {
  const { name, jobId, kind, open, startUp } = profile
  const head = plain(`${name} (${jobId}), ${kind}, ${open ? 'open' : 'ended'}`)
  const rows = [
    ['WHAT', 'IS', 'STANDS ON'],
    iterationRow(profile),
    usageRow('CPU of a task', profile.cpuMillis, 'm'),
    usageRow('memory of a task', profile.memoryMib, 'MiB'),
    growthRow(profile),
    usageRow('device busy', profile.deviceBusyPct, '%'),
    usageRow('device memory', profile.deviceMemoryMib, 'MiB'),
    burstinessRow(profile),
    [
      'placed to started',
      durationText(startUp?.placedToStarted),
      standsOn(startUp?.placedToStarted?.basis),
    ],
    [
      'started to ready',
      durationText(startUp?.startedToReady),
      standsOn(startUp?.startedToReady?.basis),
    ],
    checkpointRow(profile),
  ]
  const advice = [
    ['ADVICE', 'ASKS', 'ENOUGH', 'RANGE', 'CONFIDENCE'],
    ...profile.advice.map(adviceRow),
  ]
  return `${head}\n\n${table(rows)}\n${table(advice)}`
}

/** Profiles, one line each. */
export function profilesText(profiles: readonly Profile[]): string {
  const rows = profiles.map((profile) => {
    const { jobId, name, iteration, cpuMillis, memoryMib, open } = profile
    const period =
      iteration?.periodUs === undefined
        ? `- (${iteration?.basis?.unknown ?? ''})`
        : microseconds(iteration.periodUs)
    const p95 = cpuMillis?.p95 === undefined ? '-' : `${dot(cpuMillis.p95)}m`
    const peak = memoryMib?.peak === undefined ? '-' : `${dot(memoryMib.peak)} MiB`
    return [plain(name), jobId, open ? 'open' : 'ended', period, p95, peak]
  })
  const heading = ['NAME', 'JOB', 'STATE', 'ITERATION', 'CPU P95', 'MEMORY PEAK']
  return table([heading, ...rows])
}

/** The load to come of a service. */
export function forecastText({ series, bucketMs }: ForecastResponse): string {
  const per = `each ${duration(Number(bucketMs))}`
  const parts = series.map(({ series: name, basis, level, dispersion, points, quality }) => {
    if (level === undefined) return `${name}: ${because(basis)}\n`
    const rows = points.map(({ startMs, expected, low, high }) => {
      const ahead = duration(Number(startMs) - Number(points[0]?.startMs ?? startMs))
      return [`+ ${ahead}`, dot(expected), `${dot(low)} to ${dot(high)}`]
    })
    const kept = quality.find(({ judged }) => judged > 0n)
    const inside = kept === undefined ? '-' : `${kept.inside} of ${kept.judged}`
    const uneven = dispersion === undefined ? '' : `, dispersion ${dot(dispersion)}`
    const head = `${name} ${per}: level ${dot(level)}${uneven}; intervals held ${inside}`
    return `${head}\n${table([['FROM', 'EXPECTED', '90 %'], ...rows])}`
  })
  return parts.join('\n')
}
