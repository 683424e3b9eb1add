import {
  accept,
  type DecideContext,
  type Decision,
  type EffectRequest,
  type Refused,
  refuse,
} from '@serverless-ai/kernel'
import type { JobSpec } from './job-spec.ts'
import type { MediatorCommand, MediatorEvent, UpdateService } from './messages.ts'
import { isFinished, type JobRecord, type MediatorState, SCALING_LEVEL } from './model.ts'
import { withModel } from './models.ts'
import { currentRevision, revisionsOf } from './revisions.ts'

type Outcome = Decision<MediatorEvent>
type Settled = Extract<MediatorCommand, { type: 'SettleUpdate' }>

/** Key of the effect that tells the scheduler of an update. */
const updateKey = (jobId: string, number: number): string => `update:${jobId}:${number}`

/** What the scheduler is told of an update. */
export type UpdateOrder = {
  readonly jobId: string
  readonly number: number
  readonly revision: number
  readonly drainMs: number
  readonly maxSurge: number
  readonly maxUnavailable: number
  readonly startupDeadlineMs: number
  readonly by: string
}

/** Gives a service another revision; the same one again changes nothing, unless it has stalled. */
export function updateService(
  command: UpdateService,
  state: MediatorState,
  context: DecideContext,
): Outcome {
  const { jobId, tenant, by } = command
  const job = state.jobs.get(jobId)
  if (job === undefined || (tenant !== '' && job.tenant !== tenant)) {
    return refuse('JOB_NOT_FOUND', { jobId })
  }
  if (job.spec.service === undefined) return refuse('NOT_UPDATABLE', { jobId, fields: 'type' })
  if (isFinished(job.state) || job.cancelRequestedBy !== '') {
    return refuse('JOB_FINISHED', { jobId, state: job.state })
  }
  if ((context.featureLevel ?? 1) < SCALING_LEVEL) {
    return refuse('FEATURE_NOT_ENABLED', { level: SCALING_LEVEL })
  }
  const target = targetOf(command, job, state)
  if (!target.accepted) return target
  const { revision, spec, known } = target
  const answer = { answer: { jobId } }
  const same = revision === currentRevision(job)
  if (same && job.update?.state !== 'Stalled') return accept([], answer)
  const number = (job.updates ?? 0) + 1
  const described = known ? {} : { spec }
  return accept([{ type: 'ServiceUpdated', jobId, number, revision, by, ...described }], {
    ...answer,
    // The scheduler hears of it once it is known to have the job.
    effects: job.enqueued ? [effectOf({ jobId, number, revision, by }, spec)] : [],
  })
}

/** The update of a job that was updated before the scheduler had it. */
export function earlyUpdate({ jobId, updates = 0, spec, ...job }: JobRecord): EffectRequest[] {
  if (updates === 0) return []
  const revision = job.revision ?? 1
  return [effectOf({ jobId, number: updates, revision, by: job.submittedBy }, spec)]
}

function effectOf(
  of: Pick<UpdateOrder, 'jobId' | 'number' | 'revision' | 'by'>,
  { service }: JobSpec,
): EffectRequest {
  const order: UpdateOrder = {
    ...of,
    drainMs: service?.drainMs ?? 0,
    maxSurge: service?.update.maxSurge ?? 1,
    maxUnavailable: service?.update.maxUnavailable ?? 0,
    startupDeadlineMs: service?.readiness.startupDeadlineMs ?? 0,
  }
  return { key: updateKey(of.jobId, of.number), kind: 'update', payload: order }
}

type Target = {
  readonly accepted: true
  readonly revision: number
  readonly spec: JobSpec
  /** It had this description before. */
  readonly known: boolean
}

/** The revision that is meant: a former one by number or by what it says, else a new one. */
function targetOf(command: UpdateService, job: JobRecord, state: MediatorState): Target | Refused {
  const { jobId, toRevision } = command
  const kept = revisionsOf(job)
  if (command.spec === null) {
    const former = kept.find(({ revision }) => revision === toRevision)
    if (former === undefined) {
      const newest = kept.map(({ revision }) => revision).join(', ')
      return refuse('REVISION_NOT_FOUND', { jobId, revision: toRevision, kept: newest })
    }
    return { accepted: true, revision: former.revision, spec: former.spec, known: true }
  }
  const fields = fixedFields(job.spec, command.spec)
  if (fields.length > 0) return refuse('NOT_UPDATABLE', { jobId, fields: fields.join(', ') })
  const described = withModel(command.spec, job.tenant, state)
  if (!described.accepted) return described
  const { spec } = described
  const text = JSON.stringify(spec)
  const former = kept.findLast((one) => JSON.stringify(one.spec) === text)
  const newest = Math.max(...kept.map(({ revision }) => revision))
  return {
    accepted: true,
    revision: former?.revision ?? newest + 1,
    spec,
    known: former !== undefined,
  }
}

/** Fields that differ and belong to the job as a whole, not to how its replicas run. */
function fixedFields(before: JobSpec, after: JobSpec): string[] {
  const fixed = [
    ...['name', 'type', 'queue', 'tasks', 'resources', 'ports', 'exclusive', 'retry'],
    ...['waitForCapacity', 'priority'],
  ] as const
  const changed = fixed.filter((field) =>
    differ(Reflect.get(before, field), Reflect.get(after, field)),
  )
  const [one, other] = [before.service, after.service]
  // While both revisions serve, requests are sent the same way to either.
  const served = (['protocol', 'replicas'] as const).filter((f) => differ(one?.[f], other?.[f]))
  return [...changed, ...served.map((f) => (f === 'protocol' ? 'serve.protocol' : f))]
}

const differ = (a: unknown, b: unknown): boolean => JSON.stringify(a) !== JSON.stringify(b)

/** The scheduler has taken an update, or refused it for good. */
export function settleUpdate(command: Settled, state: MediatorState): Outcome {
  const { jobId, number, rejection } = command
  const settles = [updateKey(jobId, number)]
  const gone = rejection === null || !state.jobs.has(jobId)
  return accept(gone ? [] : [{ type: 'UpdateRefused', jobId, number, rejection }], { settles })
}
