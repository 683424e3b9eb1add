import {
  ForecastChanged,
  ProfileChanged,
} from '@serverless-ai/contracts/events/v1/resource_profiler'
import { EVENTS } from '@serverless-ai/contracts/names'
import type { PublicDraft } from '@serverless-ai/runtime'
import type { ProfilerEvent, TellCause } from '../core/messages.ts'
import type { JobState, LoadState, ProfilerState } from '../core/model.ts'
import { forecastOf } from './forecast.ts'
import { profileToProto } from './to-proto.ts'

/** How far ahead a forecast is told to everybody, ms. */
const TOLD_AHEAD_MS = 300_000

function profileChanged(job: JobState, cause: TellCause, atMs: number): PublicDraft {
  const { jobId, tenant } = job
  const payload = ProfileChanged.encode({ profile: profileToProto(job, atMs), cause }).finish()
  return { type: `${EVENTS}ProfileChanged`, key: jobId, tenant, payload }
}

function forecastChanged(load: LoadState, tenant: string, atMs: number): PublicDraft {
  const { jobId } = load
  const told = forecastOf(load, TOLD_AHEAD_MS, atMs)
  const message = { jobId, tenant, ...told, atMs: BigInt(Math.trunc(atMs)) }
  const payload = ForecastChanged.encode(message).finish()
  return { type: `${EVENTS}ForecastChanged`, key: jobId, tenant, payload }
}

/** Public events of a domain event. */
export function publish(
  event: ProfilerEvent,
  state: ProfilerState,
  atMs: number,
): readonly PublicDraft[] {
  switch (event.type) {
    case 'ProfileTold': {
      const job = state.jobs.get(event.jobId)
      return job === undefined ? [] : [profileChanged(job, event.cause, atMs)]
    }
    case 'ForecastTold': {
      const load = state.loads.get(event.jobId)
      const tenant = state.services.get(event.jobId)?.tenant ?? ''
      return load === undefined ? [] : [forecastChanged(load, tenant, atMs)]
    }
    default:
      return []
  }
}

/** The present state as public events: what was told of jobs and services that are still kept. */
export function* snapshotFeed(state: ProfilerState): Iterable<PublicDraft> {
  for (const job of state.jobs.values()) {
    if (job.told.number === 0) continue
    yield profileChanged(job, job.endedMs > 0 ? 'ENDED' : 'KNOWN', job.told.atMs)
  }
  for (const load of state.loads.values()) {
    if (load.toldLevel < 0) continue
    yield forecastChanged(load, state.services.get(load.jobId)?.tenant ?? '', state.lastMs)
  }
}
