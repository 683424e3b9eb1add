import type { Principal } from '@serverless-ai/kernel'
import { seesAll, seesTenant } from '@serverless-ai/rpc'
import { mediatorError } from '../adapters/errors.ts'
import type { JobRecord, MediatorState } from '../core/model.ts'

/** Tenant whose jobs the caller may see; empty = all. */
export function scopeOf(principal: Principal): string {
  const { tenant } = principal
  if (seesAll(principal)) return ''
  // A tenant's token without a tenant sees nothing: no tenant has this name.
  return tenant === '' ? '-' : tenant
}

/** The job, if the caller may see it; else JOB_NOT_FOUND: a tenant knows no other's jobs. */
export function visibleJob(state: MediatorState, jobId: string, principal: Principal): JobRecord {
  const job = state.jobs.get(jobId)
  if (job === undefined || !seesTenant(principal, job.tenant)) {
    throw mediatorError('JOB_NOT_FOUND', { jobId })
  }
  return job
}
