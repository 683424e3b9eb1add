import type { Json } from '@serverless-ai/kernel'
import type { GangState, JobState, LoadState, ProfilerState, ServiceName } from './model.ts'

type JobJson = Omit<JobState, 'gangs'> & { gangs: GangState[] }
type StateJson = Omit<ProfilerState, 'jobs' | 'services' | 'loads'> & {
  jobs: JobJson[]
  services: [string, ServiceName][]
  loads: LoadState[]
}

/** State as plain JSON: the same state gives the same JSON. */
export function toJson(state: ProfilerState): Json {
  const json: StateJson = {
    ...state,
    jobs: [...state.jobs.values()].map((job) => ({ ...job, gangs: [...job.gangs.values()] })),
    services: [...state.services],
    loads: [...state.loads.values()].map((load) => ({ ...load })),
  }
  return json as Json
}

/** Back again. */
export function fromJson(json: Json): ProfilerState {
  const plain = json as StateJson
  return {
    ...plain,
    jobs: new Map(
      plain.jobs.map((job) => [
        job.jobId,
        { ...job, gangs: new Map(job.gangs.map((gang) => [gang.gang, gang])) },
      ]),
    ),
    services: new Map(plain.services),
    loads: new Map(plain.loads.map((load) => [load.jobId, { ...load }])),
  }
}
