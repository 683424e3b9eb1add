import type { Json } from '@serverless-ai/kernel'
import type { FaultState, GangState, Incident, JobState, NodeView, TaskEnd } from './model.ts'

type GangJson = Omit<GangState, 'started' | 'ends' | 'openIncident'> & {
  started: number[]
  ends: TaskEnd[]
  openIncident: string
}
type JobJson = Omit<JobState, 'gangs'> & { gangs: [number, GangJson][] }
type StateJson = {
  jobs: JobJson[]
  nodes: [string, NodeView][]
  incidents: Incident[]
  endedJobs: string[]
}

const gangToJson = (gang: GangState): GangJson => ({
  ...gang,
  started: [...gang.started].sort((a, b) => a - b),
  ends: [...gang.ends.values()].sort((a, b) => a.rank - b.rank),
  openIncident: gang.openIncident ?? '',
})

const gangFromJson = (json: GangJson): GangState => ({
  ...json,
  started: new Set(json.started),
  ends: new Map(json.ends.map((end) => [end.rank, end])),
  openIncident: json.openIncident === '' ? undefined : json.openIncident,
})

/** State as plain JSON: the same state gives the same JSON. */
export function toJson(state: FaultState): Json {
  const json: StateJson = {
    jobs: [...state.jobs.values()].map((job) => ({
      ...job,
      ...(job.service === undefined
        ? {}
        : {
            service: {
              ...job.service,
              over: [...job.service.over],
              incidents: [...job.service.incidents],
            },
          }),
      gangs: [...job.gangs].map(([number, gang]) => [number, gangToJson(gang)]),
    })),
    nodes: [...state.nodes],
    incidents: [...state.incidents.values()],
    endedJobs: [...state.endedJobs],
  }
  return json as Json
}

/** Back again. */
export function fromJson(json: Json): FaultState {
  const plain = json as StateJson
  return {
    jobs: new Map(
      plain.jobs.map((job) => [
        job.jobId,
        {
          ...job,
          ...(job.service === undefined ? {} : { service: structuredClone(job.service) }),
          gangs: new Map(job.gangs.map(([number, gang]) => [number, gangFromJson(gang)])),
        },
      ]),
    ),
    nodes: new Map(plain.nodes),
    incidents: new Map(plain.incidents.map((incident) => [incident.incidentId, incident])),
    endedJobs: [...plain.endedJobs],
  }
}
