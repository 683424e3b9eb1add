import { type Refused, refuse } from '@serverless-ai/kernel'
import type { JobSpec } from './job-spec.ts'
import type { JobRecord, MediatorState } from './model.ts'

/** A description with the checkpoint that the model it names has now, if it names one. */
export function withModel(
  spec: JobSpec,
  tenant: string,
  state: MediatorState,
): Refused | { readonly accepted: true; readonly spec: JobSpec } {
  const { service } = spec
  const meant = service?.model?.job
  if (service?.model === undefined || meant === undefined) return { accepted: true, spec }
  let model: JobRecord | undefined
  for (const job of state.jobs.values()) {
    if (job.tenant !== tenant || job.checkpoint === null) continue
    // Jobs come in the order of their submission: the newest of a name is the last.
    if (job.jobId === meant || (job.spec.name === meant && model?.jobId !== meant)) model = job
  }
  const checkpoint = model?.checkpoint ?? null
  if (checkpoint === null) return refuse('MODEL_NOT_FOUND', { job: meant })
  const { path, step } = checkpoint
  const found = { ...service, model: { ...service.model, path, step } }
  return { accepted: true, spec: { ...spec, service: found } }
}
