import type { JobSpec } from '../job-spec.ts'
import type { Placement } from '../model.ts'
import { type LaunchContract, torchrunContract } from './torchrun.ts'

/**
 * The launch contract of a replica of an Inference job: rank 0 listens at `PORT` on `SAI_ADDRESS`
 * (or any address of its node) and answers its readiness probe there. Replicas of several tasks
 * find each other as the tasks of a training gang do.
 */
export function serverContract(
  job: { readonly jobId: string; readonly spec: JobSpec },
  placement: Placement,
): LaunchContract {
  const { spec } = job
  const [port] = placement.rank0Ports
  const { env, ...contract } = torchrunContract(job, placement)
  const model = spec.service?.model
  return {
    ...contract,
    env: {
      ...env,
      SAI_SERVICE: spec.name,
      SAI_ADDRESS: placement.masterAddress,
      ...(port === undefined ? {} : { PORT: String(port) }),
      // Each node puts its own checkpoint directory before the path.
      ...(model === undefined
        ? {}
        : { SAI_MODEL_PATH: model.path, SAI_MODEL_STEP: String(model.step) }),
    },
  }
}
