import type { JobSpec } from './job-spec.ts'
import { type JobRecord, REVISIONS_KEPT, type Revision } from './model.ts'

/** Revision that replicas of a service are to have. */
export const currentRevision = (job: JobRecord): number => job.revision ?? 1

/** All that are kept, oldest first. */
export function revisionsOf(job: JobRecord): readonly Revision[] {
  return job.revisions ?? [{ revision: 1, spec: job.spec, atMs: job.submittedMs }]
}

/** The description that a revision is; that of the job where it is not kept any more. */
export function specOf(job: JobRecord, revision = 1): JobSpec {
  return revisionsOf(job).find((one) => one.revision === revision)?.spec ?? job.spec
}

/** When the current revision was given first, ms since 1970. */
export function describedMs(job: JobRecord): number {
  const current = currentRevision(job)
  return revisionsOf(job).find(({ revision }) => revision === current)?.atMs ?? job.submittedMs
}

/** With one more; the oldest that nobody needs any more goes. */
export function withRevision(job: JobRecord, added: Revision): readonly Revision[] {
  const needed = new Set([added.revision, job.update?.fromRevision ?? 1])
  for (const { placement } of job.replicas ?? []) needed.add(placement.revision ?? 1)
  const all = [...revisionsOf(job), added]
  const surplus = new Set(
    all
      .filter(({ revision }) => !needed.has(revision))
      .slice(0, Math.max(0, all.length - REVISIONS_KEPT)),
  )
  return surplus.size === 0 ? all : all.filter((one) => !surplus.has(one))
}

/** Workspaces that replicas may still be started with. */
export function workspacesOf(job: JobRecord): readonly string[] {
  return revisionsOf(job).map(({ spec }) => spec.workspace)
}
