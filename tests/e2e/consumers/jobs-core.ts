import { JobStateChanged } from '@serverless-ai/contracts/events/v1/scheduler'
import { EVENTS } from '@serverless-ai/contracts/names'
import { accept, type Json } from '@serverless-ai/kernel'
import type { PublicDraft, ServiceDefinition } from '@serverless-ai/runtime'

/** A job of the small scheduler. */
interface Job {
  readonly state: string
  readonly generation: number
  readonly atMs: number
}

export type Jobs = Map<string, Job>
export interface Change {
  readonly type: 'Change'
  readonly jobs: readonly { readonly jobId: string; readonly state: string }[]
}
export type Changed = Omit<Change, 'type'> & { readonly type: 'Changed' }

export const SERVICE = 'scheduler'

function draft(jobId: string, { state, generation, atMs }: Job): PublicDraft {
  const message = JobStateChanged.fromPartial({
    jobId,
    name: `name of ${jobId}`,
    tenant: 'team-a',
    queue: 'main',
    state,
    generation,
    atMs: BigInt(Math.trunc(atMs)),
  })
  const payload = JobStateChanged.encode(message).finish()
  return { type: `${EVENTS}JobStateChanged`, key: jobId, tenant: 'team-a', payload }
}

/**
 * A scheduler without scheduling: on command its jobs change their state, each with a public event.
 * Everything around the core is the product's.
 */
export const jobsService: ServiceDefinition<Jobs, Change, Changed> = {
  name: SERVICE,
  schemaVersion: 1,
  decider: {
    initial: () => new Map(),
    decide: ({ jobs }) => accept<Changed>([{ type: 'Changed', jobs }]),
    evolve(state, { jobs }, atMs) {
      for (const { jobId, state: to } of jobs) {
        const generation = (state.get(jobId)?.generation ?? 0) + 1
        state.set(jobId, { state: to, generation, atMs })
      }
      return state
    },
    toJson: (state): Json => [...state].map(([jobId, job]) => [jobId, { ...job }]),
    fromJson: (json) => new Map<string, Job>(JSON.parse(JSON.stringify(json))),
  },
  publish: ({ jobs }, state) => jobs.map(({ jobId }) => draft(jobId, state.get(jobId)!)),
  *snapshotFeed(state) {
    for (const [jobId, job] of state) yield draft(jobId, job)
  },
  inputs: [],
}
