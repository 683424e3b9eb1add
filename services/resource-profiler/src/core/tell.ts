/** When a profile or a forecast has changed so much that others should look. */
import { accept, type DecideContext, type Decision } from '@serverless-ai/kernel'
import { adviceOf } from './advice.ts'
import { quantile } from './histogram.ts'
import { forecastSeries } from './load/forecast.ts'
import { forecastTimer, type ProfilerEvent, profileTimer, type TellCause } from './messages.ts'
import {
  FORECAST_EVERY_MS,
  FORECASTS_PER_ROUND,
  type JobState,
  LOOK_AGE_PARTS,
  LOOK_EVERY_MAX_MS,
  LOOK_EVERY_MS,
  type LoadState,
  type ProfilerState,
  TELL_AFTER_MS,
  TELL_EVERY_MS,
  type Usage,
} from './model.ts'
import { iterationOf, usageBasis } from './profile.ts'
import { quietBucketsOf } from './rest.ts'
import { durationsOf } from './starts.ts'

/** A change of a number that is worth telling, parts of it; that of a period first. */
const PERIOD_CHANGE = 0.05
const CHANGE = 0.1
/** A change of the expected load, parts of it. */
const LOAD_CHANGE = 0.2

/** What others act on; -1 = not known. The period first. */
export function numbersOf(job: JobState, nowMs: number): readonly number[] {
  const known = (usage: Usage | null, of: (usage: Usage) => number): number =>
    usage === null || usageBasis(usage, job, nowMs).unknown !== '' ? -1 : of(usage)
  const { periodUs, basis } = iterationOf(job, nowMs)
  const p95 = ({ digest }: Usage): number => quantile(digest, 0.95)
  const peak = ({ digest }: Usage): number => digest.peak
  const starts = durationsOf(job.starts.map(({ readyMs }) => readyMs).filter((ms) => ms >= 0))
  const advice = adviceOf(job, nowMs).map(({ unknown, recommended }) =>
    unknown === '' ? recommended : -1,
  )
  return [
    basis.unknown === '' ? periodUs : -1,
    known(job.cpu, p95),
    known(job.memory, peak),
    known(job.deviceBusy, p95),
    starts.count === 0 ? -1 : starts.p50Ms,
    job.checkpoints.at(-1)?.bytes ?? -1,
    ...advice,
  ]
}

function causeOf(before: readonly number[], now: readonly number[]): TellCause | undefined {
  let cause: TellCause | undefined
  for (const [index, value] of now.entries()) {
    const then = before[index] ?? -1
    if (value === then) continue
    if (then < 0) return 'KNOWN'
    const least = index === 0 ? PERIOD_CHANGE : CHANGE
    if (value < 0) cause = 'UNKNOWN'
    else if (Math.abs(value - then) > least * then) cause ??= 'CHANGED'
  }
  return cause
}

/** What is new changes quickly; what has run for long hardly does. */
function lookEveryMs({ gangs }: JobState, atMs: number): number {
  let newestMs = 0
  for (const { placedMs, startedMs } of gangs.values()) {
    newestMs = Math.max(newestMs, placedMs, startedMs)
  }
  const ageMs = gangs.size === 0 ? 0 : atMs - newestMs
  return Math.min(LOOK_EVERY_MAX_MS, Math.max(LOOK_EVERY_MS, Math.ceil(ageMs / LOOK_AGE_PARTS)))
}

/** A job's profile is looked at soon, once, however much comes until then. */
export function planProfile(job: JobState, atMs: number): Decision<ProfilerEvent> {
  if (job.pending) return accept<ProfilerEvent>([])
  const { jobId, told } = job
  const earliestMs = Math.max(told.atMs + TELL_EVERY_MS, told.lookedMs + lookEveryMs(job, atMs))
  const dueMs = Math.max(atMs + TELL_AFTER_MS, earliestMs)
  return accept<ProfilerEvent>([{ type: 'TellingPlanned', jobId, what: 'profile' }], {
    timers: [{ key: profileTimer(jobId), dueMs }],
  })
}

/** The end of a job is told at once. */
export function tellEnd(job: JobState, atMs: number): readonly ProfilerEvent[] {
  const { jobId, told } = job
  const numbers = numbersOf(job, atMs)
  return [{ type: 'ProfileTold', jobId, number: told.number + 1, cause: 'ENDED', numbers }]
}

export function tellProfile(
  jobId: string,
  state: ProfilerState,
  { atMs }: DecideContext,
): Decision<ProfilerEvent> {
  const job = state.jobs.get(jobId)
  if (job === undefined || job.endedMs > 0) return accept<ProfilerEvent>([])
  const numbers = numbersOf(job, atMs)
  const cause = causeOf(job.told.numbers, numbers)
  if (cause === undefined) {
    return accept<ProfilerEvent>([{ type: 'TellingSkipped', jobId, what: 'profile' }])
  }
  const number = job.told.number + 1
  return accept<ProfilerEvent>([{ type: 'ProfileTold', jobId, number, cause, numbers }])
}

/** @param services services with load: the more there are, the less often each is forecast */
export function planForecast(
  load: LoadState,
  services: number,
  atMs: number,
): Decision<ProfilerEvent> {
  if (load.pending) return accept<ProfilerEvent>([])
  const { jobId, toldMs } = load
  const crowd = Math.max(1, services / FORECASTS_PER_ROUND)
  const dueMs = Math.max(atMs + TELL_AFTER_MS, toldMs + FORECAST_EVERY_MS * crowd)
  return accept<ProfilerEvent>([{ type: 'TellingPlanned', jobId, what: 'forecast' }], {
    timers: [{ key: forecastTimer(jobId), dueMs }],
  })
}

export function tellForecast(
  jobId: string,
  state: ProfilerState,
  { atMs }: DecideContext,
): Decision<ProfilerEvent> {
  const load = state.loads.get(jobId)
  if (load === undefined) return accept<ProfilerEvent>([])
  const quietBuckets = quietBucketsOf(load, atMs)
  const { unknown, points } = forecastSeries(load, 'arrivals', { buckets: 1, quietBuckets })
  const level = unknown === '' ? (points[0]?.expected ?? 0) : -1
  const { toldLevel } = load
  const less = Math.max(1, Math.abs(toldLevel)) * LOAD_CHANGE
  if (level < 0 || (toldLevel >= 0 && Math.abs(level - toldLevel) < less)) {
    return accept<ProfilerEvent>([{ type: 'TellingSkipped', jobId, what: 'forecast' }])
  }
  return accept<ProfilerEvent>([{ type: 'ForecastTold', jobId, level }])
}
