import type { MediatorEvent, PlacedGang, ReleasedGang, ReplicaSeen } from './messages.ts'
import { isFinished, type JobRecord, type MediatorState, type Replica } from './model.ts'

/** The replica of a gang. */
export function replicaOf(job: JobRecord, gang: number): Replica | undefined {
  return job.replicas?.find(({ placement }) => placement.gang === gang)
}

/** News of a replica that is placed; those of another generation are nobody's. */
export function seeReplica({ jobId, news }: ReplicaSeen, state: MediatorState): MediatorEvent[] {
  const job = state.jobs.get(jobId)
  if (job === undefined || isFinished(job.state)) return []
  const replica = replicaOf(job, news.gang)
  if (replica === undefined || replica.placement.generation !== news.generation) return []
  const { ready = replica.ready, draining = replica.draining, cause = replica.cause } = news
  const same = ready === replica.ready && draining === replica.draining
  if (same && cause === replica.cause) return []
  return [{ type: 'ReplicaObserved', jobId, news }]
}

/** A replica whose generation is over holds nothing any more. */
export function seeRelease(released: ReleasedGang, state: MediatorState): MediatorEvent[] {
  const { jobId, gang, through } = released
  const job = state.jobs.get(jobId)
  const replica = job && replicaOf(job, gang)
  if (replica === undefined || replica.placement.generation > through) return []
  return [{ type: 'ReplicaReleased', jobId, gang }]
}

/** The scheduler's whole truth: replicas that it does not place, or has released, are gone. */
export function replaceReplicas(
  told: {
    readonly placed: readonly PlacedGang[]
    readonly released?: readonly ReleasedGang[]
    readonly replicas?: readonly ReplicaSeen[]
  },
  state: MediatorState,
): MediatorEvent[] {
  const through = new Map<string, number>()
  const key = (jobId: string, gang: number) => `${jobId}/${gang}`
  for (const one of told.released ?? []) through.set(key(one.jobId, one.gang), one.through)
  const held = new Set<string>()
  for (const { jobId, placement } of told.placed) {
    const name = key(jobId, placement.gang)
    if (placement.generation > (through.get(name) ?? 0)) held.add(name)
  }
  const gone: MediatorEvent[] = []
  for (const job of state.jobs.values()) {
    const { jobId } = job
    for (const { placement } of job.replicas ?? []) {
      const { gang } = placement
      if (!held.has(key(jobId, gang))) gone.push({ type: 'ReplicaReleased', jobId, gang })
    }
  }
  return [...gone, ...(told.replicas ?? []).flatMap((seen) => seeReplica(seen, state))]
}
