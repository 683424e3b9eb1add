import type { Json } from '@serverless-ai/kernel'
import type { GangState, JobState, LoadState, ProfilerState, ServiceName } from './model.ts'

type GangJson = Omit<GangState, 'started' | 'usageThroughMs'> & {
  started: number[]
  usageThroughMs: [number, number][]
}
type JobJson = Omit<JobState, 'gangs'> & { gangs: GangJson[] }
type StateJson = Omit<ProfilerState, 'jobs' | 'services' | 'loads'> & {
  jobs: JobJson[]
  services: [string, ServiceName][]
  loads: LoadState[]
}

const gangToJson = (gang: GangState): GangJson => ({
  ...gang,
  started: [...gang.started].sort((a, b) => a - b),
  usageThroughMs: [...gang.usageThroughMs].sort(([a], [b]) => a - b),
})

const gangFromJson = (gang: GangJson): GangState => ({
  ...gang,
  started: new Set(gang.started),
  usageThroughMs: new Map(gang.usageThroughMs),
})

/** State as plain JSON: the same state gives the same JSON. */
export function toJson(state: ProfilerState): Json {
  const json: StateJson = {
    ...state,
    jobs: [...state.jobs.values()].map((job) => ({
      ...job,
      gangs: [...job.gangs.values()].map(gangToJson),
    })),
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
        { ...job, gangs: new Map(job.gangs.map((gang) => [gang.gang, gangFromJson(gang)])) },
      ]),
    ),
    services: new Map(plain.services),
    loads: new Map(plain.loads.map((load) => [load.jobId, { ...load }])),
  }
}
