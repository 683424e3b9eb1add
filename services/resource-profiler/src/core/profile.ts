/** What is known of a job now, with why the rest is not. */
import { periodOfSteps } from './iteration.ts'
import {
  type GangState,
  type JobState,
  leadGang,
  STALE_MS,
  type Unknown,
  USAGE_SAMPLES_MIN,
  type Usage,
} from './model.ts'

export interface Basis {
  readonly unknown: Unknown | ''
  readonly source: string
  readonly samples: number
  readonly spanMs: number
  readonly newestMs: number
}

export const basis = (unknown: Unknown | '', more: Partial<Basis> = {}): Basis => ({
  unknown,
  source: '',
  samples: 0,
  spanMs: 0,
  newestMs: 0,
  ...more,
})

export interface Iteration {
  readonly basis: Basis
  /** 0 = not known, also of the ends of its interval. */
  readonly periodUs: number
  readonly lowUs: number
  readonly highUs: number
  /** -1 = it reports none. */
  readonly step: number
}

const none = (why: Basis, step = -1): Iteration => ({
  basis: why,
  periodUs: 0,
  lowUs: 0,
  highUs: 0,
  step,
})

function ofBursts(job: JobState, gang: GangState, nowMs: number): Iteration {
  const { bursts } = job
  if (bursts === null || bursts.gang !== gang.gang || bursts.generation !== gang.generation) {
    return none(basis('NO_STEPS'))
  }
  const { samples, spanMs, source, atMs, unknown, agrees } = bursts
  const about = { samples, spanMs, newestMs: atMs, source: `cpu-bursts, ${source}` }
  if (unknown !== '') return none(basis(unknown, about))
  if (nowMs - atMs > STALE_MS) return none(basis('STALE', about))
  // One look may see a pattern in chance; the next one has to see it, too.
  if (!agrees) return none(basis('FEW_SAMPLES', about))
  const { periodUs, lowUs, highUs } = bursts
  return { basis: basis('', about), periodUs, lowUs, highUs, step: -1 }
}

/** While nothing runs, what ran last speaks for the job. */
function pastOf({ past }: JobState): Iteration {
  if (past === null) return none(basis('NOT_RUNNING'))
  const { periodUs, lowUs, highUs, ...about } = past
  return { basis: basis('', about), periodUs, lowUs, highUs, step: -1 }
}

/** Time of one iteration: from reported steps, else from bursts of CPU use. */
export function iterationOf(job: JobState, nowMs: number): Iteration {
  if (job.isService) return none(basis('NOT_TRAINING'))
  const gang = leadGang(job)
  if (gang === undefined || gang.started.size === 0) return pastOf(job)
  const { clock, points } = gang.track
  if (points.length === 0) return ofBursts(job, gang, nowMs)
  const period = periodOfSteps(points, nowMs)
  const { samples, spanMs, newestMs } = period
  const source = `reported-steps, clock of the ${clock}`
  const why = basis(period.unknown, { samples, spanMs, newestMs, source })
  const step = points.at(-1)?.[1] ?? -1
  if (period.unknown !== '') return none(why, step)
  const { periodUs, lowUs, highUs } = period
  return { basis: why, periodUs, lowUs, highUs, step }
}

/** What the use of a resource stands on. `absent`: why there is nothing. */
export function usageBasis(
  usage: Usage | null,
  job: JobState,
  nowMs: number,
  absent: Unknown = 'NO_TELEMETRY',
): Basis {
  if (usage === null) return basis(absent)
  const { digest, source, sinceMs, newestMs } = usage
  const samples = Math.floor(digest.count)
  const about = { source, samples, spanMs: newestMs - sinceMs, newestMs }
  if (samples < USAGE_SAMPLES_MIN) return basis('FEW_SAMPLES', about)
  const isStale = job.endedMs === 0 && job.gangs.size > 0 && nowMs - newestMs > STALE_MS
  return basis(isStale ? 'STALE' : '', about)
}
