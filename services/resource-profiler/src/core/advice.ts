/** What would be enough of what a job asks for, and how sure that is. */
import { math } from '@serverless-ai/kernel'
import { quantile } from './histogram.ts'
import {
  ADVICE_SAMPLES_MIN,
  ADVICE_SPAN_MS,
  type JobState,
  STALE_MS,
  type Unknown,
  type Usage,
} from './model.ts'
import { growthOf } from './usage.ts'

export type Dimension = 'cpu_millis' | 'memory_mib' | 'devices'

export interface Advice {
  readonly dimension: Dimension
  readonly unknown: Unknown | ''
  readonly usage: Usage | null
  readonly requested: number
  readonly recommended: number
  readonly lower: number
  readonly upper: number
  readonly confidencePpm: number
}

/** Room above what was seen: Autopilot (EuroSys 2020) and the VPA of Kubernetes leave as much. */
const ROOM = 1.15
/** Samples nearer than this say the same again. */
const APART_MS = 10_000
/** Share of the time to come that is to stay within the advice. */
const WITHIN = { cpu_millis: 0.95, memory_mib: 0.99, devices: 0.95 } as const
/** Growth that doubles memory within this makes any number wrong, hours. */
const DOUBLING_HOURS = 24
/** Below this a device counts as not used, percent. */
const BUSY_MIN_PCT = 1

/**
 * Probability that a share of all there is to see lies below the most that was seen, were the
 * samples independent: 1 - share^n (order statistics; Wilks 1941).
 */
export function confidencePpm(usage: Usage, within: number): number {
  const apart = Math.floor((usage.newestMs - usage.sinceMs) / APART_MS) + 1
  const independent = Math.min(apart, Math.floor(usage.digest.count))
  return Math.round((1 - math.pow(within, independent)) * 1_000_000)
}

function unusable(usage: Usage | null, job: JobState, nowMs: number): Unknown | '' {
  if (usage === null) return 'NO_TELEMETRY'
  const spanMs = usage.newestMs - usage.sinceMs
  if (usage.digest.count < ADVICE_SAMPLES_MIN || spanMs < ADVICE_SPAN_MS) return 'FEW_SAMPLES'
  if (job.endedMs === 0 && nowMs - usage.newestMs > STALE_MS) return 'STALE'
  return ''
}

const unknownAdvice = (
  dimension: Dimension,
  unknown: Unknown,
  of: { readonly usage: Usage | null; readonly requested: number },
): Advice => ({
  dimension,
  unknown,
  ...of,
  recommended: 0,
  lower: 0,
  upper: 0,
  confidencePpm: 0,
})

function cpuAdvice(job: JobState, nowMs: number): Advice {
  const { cpu: usage } = job
  const of = { usage, requested: job.perTask.cpuMillis }
  const unknown = unusable(usage, job, nowMs)
  if (unknown !== '' || usage === null) {
    return unknownAdvice('cpu_millis', unknown === '' ? 'NO_TELEMETRY' : unknown, of)
  }
  const { digest } = usage
  return {
    dimension: 'cpu_millis',
    unknown: '',
    ...of,
    recommended: Math.ceil(quantile(digest, 0.95) * ROOM),
    lower: Math.ceil(quantile(digest, 0.5)),
    upper: Math.ceil(digest.peak * ROOM),
    confidencePpm: confidencePpm(usage, WITHIN.cpu_millis),
  }
}

function memoryAdvice(job: JobState, nowMs: number): Advice {
  const { memory: usage, memoryTrend } = job
  const of = { usage, requested: job.perTask.memoryMib }
  const unknown = unusable(usage, job, nowMs)
  if (unknown !== '' || usage === null) {
    return unknownAdvice('memory_mib', unknown === '' ? 'NO_TELEMETRY' : unknown, of)
  }
  const { peak } = usage.digest
  const perHour = growthOf(memoryTrend) ?? 0
  if (perHour * DOUBLING_HOURS > peak) return unknownAdvice('memory_mib', 'GROWING', of)
  return {
    dimension: 'memory_mib',
    unknown: '',
    ...of,
    recommended: Math.ceil(peak * ROOM),
    lower: Math.ceil(peak),
    upper: Math.ceil(peak * ROOM * ROOM),
    confidencePpm: confidencePpm(usage, WITHIN.memory_mib),
  }
}

function deviceAdvice(job: JobState, nowMs: number): Advice {
  const { deviceBusy: usage } = job
  const of = { usage, requested: job.perTask.devices }
  if (usage === null) return unknownAdvice('devices', 'NO_READING', of)
  const unknown = unusable(usage, job, nowMs)
  if (unknown !== '') return unknownAdvice('devices', unknown, of)
  // "Busy" says nothing about how full a device is: less than all is only told of one never used.
  const used = usage.digest.peak >= BUSY_MIN_PCT ? of.requested : 0
  return {
    dimension: 'devices',
    unknown: '',
    ...of,
    recommended: used,
    lower: used,
    upper: of.requested,
    confidencePpm: confidencePpm(usage, WITHIN.devices),
  }
}

/** Advice for each dimension that the job asks for. */
export function adviceOf(job: JobState, nowMs: number): readonly Advice[] {
  const { devices } = job.perTask
  const always = [cpuAdvice(job, nowMs), memoryAdvice(job, nowMs)]
  return devices === 0 ? always : [...always, deviceAdvice(job, nowMs)]
}
