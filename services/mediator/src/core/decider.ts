import type { Decider, Json } from '@serverless-ai/kernel'
import { decide } from './decide.ts'
import { evolve } from './evolve.ts'
import type { MediatorCommand, MediatorEvent } from './messages.ts'
import type { JobRecord, MediatorState } from './model.ts'

/** The mediator's core: job descriptions, launch contracts and the view of jobs. */
export const mediatorDecider: Decider<MediatorState, MediatorCommand, MediatorEvent> = {
  initial: () => ({ jobs: new Map(), requests: new Map(), finished: new Set() }),
  decide,
  evolve,
  toJson,
  fromJson,
}

// The snapshot is what `toJson` wrote: its shape is fixed by the schema version of the service.
interface Stored {
  readonly jobs: readonly JobRecord[]
  readonly finished: readonly string[]
}

function toJson(state: MediatorState): Json {
  // Records and their stories are changed in place later, everything below them is replaced.
  const jobs = Array.from(state.jobs.values(), (job) => ({
    ...job,
    story: [...job.story],
    ...(job.replicas === undefined ? {} : { replicas: job.replicas.map((one) => ({ ...one })) }),
  }))
  return { jobs, finished: [...state.finished] }
}

function isStored(json: unknown): json is Stored {
  return typeof json === 'object' && json !== null && 'jobs' in json && 'finished' in json
}

function fromJson(json: Json): MediatorState {
  if (!isStored(json)) throw new TypeError('not a snapshot of the mediator')
  // A copy: records are changed in place, and the JSON belongs to the caller.
  const jobs = structuredClone(json.jobs)
  return {
    jobs: new Map(jobs.map((job) => [job.jobId, job])),
    requests: new Map(
      jobs.flatMap((job) => (job.requestId === '' ? [] : [[job.requestId, job.jobId] as const])),
    ),
    finished: new Set(json.finished),
  }
}
