import type {
  Advice as AdviceProto,
  Basis as BasisProto,
  BurstinessProfile,
  CheckpointProfile,
  DurationProfile,
  IterationProfile,
  Profile,
  SeriesForecast as SeriesForecastProto,
  StartUpProfile,
  TrendProfile,
  UsageProfile,
} from '@serverless-ai/contracts/profile/v1/profile'
import { math } from '@serverless-ai/kernel'
import { type Advice, adviceOf } from '../core/advice.ts'
import { quantile } from '../core/histogram.ts'
import type { SeriesForecast } from '../core/load/forecast.ts'
import { BUCKET_MS, type JobState, leadGang, type Unknown, type Usage } from '../core/model.ts'
import { type Basis, basis, iterationOf, usageBasis } from '../core/profile.ts'
import { checkpointGaps, checkpointPause, durationsOf } from '../core/starts.ts'
import { growthOf } from '../core/usage.ts'

const big = (value: number): bigint => BigInt(Math.max(0, Math.round(value)))
const near = (value: number): number => Math.round(value * 1_000) / 1_000

function basisToProto(of: Basis, nowMs: number): BasisProto {
  const { unknown, source, samples, spanMs, newestMs } = of
  const ageMs = newestMs === 0 ? 0 : nowMs - newestMs
  return {
    unknown,
    source,
    samples: big(samples),
    spanMs: big(spanMs),
    ageMs: big(ageMs),
  }
}

function iterationToProto(job: JobState, nowMs: number): IterationProfile {
  const { basis: why, periodUs, lowUs, highUs, step } = iterationOf(job, nowMs)
  const known = (value: number): bigint | undefined => (periodUs > 0 ? big(value) : undefined)
  return {
    basis: basisToProto(why, nowMs),
    periodUs: known(periodUs),
    periodLowUs: known(lowUs),
    periodHighUs: known(highUs),
    readyAfterMs: job.readyAfterMs < 0 ? undefined : big(job.readyAfterMs),
    step: step < 0 ? undefined : big(step),
  }
}

function usageToProto(
  usage: Usage | null,
  job: JobState,
  of: { readonly nowMs: number; readonly absent?: Unknown },
): UsageProfile {
  const why = usageBasis(usage, job, of.nowMs, of.absent)
  const about = basisToProto(why, of.nowMs)
  // What is stale is still told, with its age.
  if (usage === null || why.unknown === 'FEW_SAMPLES') {
    return { basis: about, p50: undefined, p95: undefined, peak: undefined, mean: undefined }
  }
  const { digest } = usage
  return {
    basis: about,
    p50: near(quantile(digest, 0.5)),
    p95: near(quantile(digest, 0.95)),
    peak: near(digest.peak),
    mean: near(digest.sum / digest.count),
  }
}

function trendToProto(job: JobState, nowMs: number): TrendProfile {
  const perHour = growthOf(job.memoryTrend)
  const why = usageBasis(job.memory, job, nowMs)
  const unknown = why.unknown !== '' ? why.unknown : perHour === undefined ? 'FEW_SAMPLES' : ''
  return {
    basis: basisToProto({ ...why, unknown }, nowMs),
    perHour: perHour === undefined ? undefined : near(perHour),
  }
}

function burstinessToProto(job: JobState, nowMs: number): BurstinessProfile {
  const { cpu } = job
  const why = usageBasis(cpu, job, nowMs)
  const about = basisToProto(why, nowMs)
  const mean = cpu === null || cpu.digest.count === 0 ? 0 : cpu.digest.sum / cpu.digest.count
  if (cpu === null || why.unknown === 'FEW_SAMPLES' || mean <= 0) {
    return { basis: about, cpuVariation: undefined, cpuPeakToMean: undefined }
  }
  const { squares, count, peak } = cpu.digest
  const variance = Math.max(0, squares / count - mean * mean)
  return {
    basis: about,
    cpuVariation: near(math.pow(variance, 0.5) / mean),
    cpuPeakToMean: near(peak / mean),
  }
}

function durationToProto(values: readonly number[], nowMs: number): DurationProfile {
  const { count, p50Ms, p90Ms, maxMs } = durationsOf(values)
  const why = basis(count === 0 ? 'FEW_STARTS' : '', { source: 'events', samples: count })
  const known = (ms: number): bigint | undefined => (count === 0 ? undefined : big(ms))
  return {
    basis: basisToProto(why, nowMs),
    p50Ms: known(p50Ms),
    p90Ms: known(p90Ms),
    maxMs: known(maxMs),
  }
}

function startUpToProto({ starts }: JobState, nowMs: number): StartUpProfile {
  const ready = starts.filter(({ readyMs }) => readyMs >= 0)
  return {
    placedToStarted: durationToProto(
      starts.map(({ startedMs }) => startedMs),
      nowMs,
    ),
    startedToReady: durationToProto(
      ready.map(({ startedMs, readyMs }) => readyMs - startedMs),
      nowMs,
    ),
    placedToReady: durationToProto(
      ready.map(({ readyMs }) => readyMs),
      nowMs,
    ),
  }
}

function checkpointToProto(job: JobState, nowMs: number): CheckpointProfile {
  const { checkpoints } = job
  const [first, last, before] = [checkpoints[0], checkpoints.at(-1), checkpoints.at(-2)]
  const gaps = checkpointGaps(checkpoints)
  const why = basis(last === undefined ? 'NO_CHECKPOINTS' : '', {
    source: last === undefined ? '' : 'events',
    samples: checkpoints.length,
    spanMs: (last?.atMs ?? 0) - (first?.atMs ?? 0),
    newestMs: last?.atMs ?? 0,
  })
  const gang = leadGang(job)
  const { periodUs } = iterationOf(job, nowMs)
  const pauseMs =
    gang === undefined || periodUs === 0 ? undefined : checkpointPause(job, gang, periodUs / 1_000)
  const steps = last !== undefined && before !== undefined ? last.step - before.step : -1
  return {
    basis: basisToProto(why, nowMs),
    bytes: last === undefined ? undefined : big(last.bytes),
    bytesMax:
      last === undefined ? undefined : big(Math.max(...checkpoints.map(({ bytes }) => bytes))),
    intervalP50Ms: gaps.length === 0 ? undefined : big(durationsOf(gaps).p50Ms),
    intervalSteps: steps < 0 ? undefined : big(steps),
    pauseMs: pauseMs === undefined ? undefined : big(pauseMs),
  }
}

function adviceToProto(advice: Advice, job: JobState, nowMs: number): AdviceProto {
  const { dimension, unknown, usage, requested, confidencePpm } = advice
  const about = { ...usageBasis(usage, job, nowMs, 'NO_READING'), unknown }
  const known = (value: number): number | undefined => (unknown === '' ? value : undefined)
  return {
    dimension,
    basis: basisToProto(about, nowMs),
    requested,
    recommended: known(advice.recommended),
    lower: known(advice.lower),
    upper: known(advice.upper),
    confidencePpm,
  }
}

/** What is known of a job now. */
export function profileToProto(job: JobState, nowMs: number): Profile {
  // Of a job that has ended nothing gets older.
  const of = { nowMs }
  const noReading = { nowMs, absent: 'NO_READING' as const }
  return {
    jobId: job.jobId,
    tenant: job.tenant,
    name: job.name,
    kind: job.isService ? 'Inference' : 'Training',
    open: job.endedMs === 0,
    number: big(job.told.number),
    iteration: iterationToProto(job, nowMs),
    cpuMillis: usageToProto(job.cpu, job, of),
    memoryMib: usageToProto(job.memory, job, of),
    memoryGrowthMib: trendToProto(job, nowMs),
    deviceBusyPct: usageToProto(job.deviceBusy, job, noReading),
    deviceMemoryMib: usageToProto(job.deviceMemory, job, noReading),
    burstiness: burstinessToProto(job, nowMs),
    startUp: startUpToProto(job, nowMs),
    checkpoint: checkpointToProto(job, nowMs),
    advice: adviceOf(job, nowMs).map((advice) => adviceToProto(advice, job, nowMs)),
    atMs: big(nowMs),
  }
}

/** A forecast whose first point is the bucket with this number since 1970. */
export function seriesToProto(
  forecast: SeriesForecast,
  firstBucket: number,
  nowMs: number,
): SeriesForecastProto {
  const { series, unknown, known, level, trend, seasonMs, dispersion, points, quality } = forecast
  const newestMs = known === 0 ? 0 : firstBucket * BUCKET_MS
  const why = basis(unknown, {
    source: known === 0 ? '' : 'gateway',
    samples: known,
    spanMs: known * BUCKET_MS,
    newestMs,
  })
  const isKnown = unknown === ''
  return {
    series,
    basis: basisToProto(why, nowMs),
    level: isKnown ? near(level) : undefined,
    trend: isKnown ? near(trend) : undefined,
    seasonMs: big(seasonMs),
    dispersion: isKnown ? near(dispersion) : undefined,
    points: points.map(({ expected, low, high }, index) => ({
      startMs: big((firstBucket + index) * BUCKET_MS),
      expected: near(expected),
      low: near(low),
      high: near(high),
    })),
    quality: quality.map(({ ahead, judged, inside, error, naiveError }) => ({
      ahead,
      judged: big(judged),
      inside: big(inside),
      errorToNaive: judged === 0 || naiveError === 0 ? undefined : near(error / naiveError),
    })),
  }
}
