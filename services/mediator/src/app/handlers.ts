import type {
  JobServiceService,
  WorkspaceServiceService,
} from '@serverless-ai/contracts/job/v1/job'
import type { Clock, HandlersOf, Timers } from '@serverless-ai/kernel'
import { JobChanges, type TakenJobs } from './changes.ts'
import type { MediatorRuntime, SchedulerClient } from './definition.ts'
import { ExplainHandler, type RecoveryClient } from './explain.ts'
import { JobHandlers } from './jobs.ts'
import { ScaleHandler } from './scale.ts'
import type { ServingKnown } from './serving.ts'
import { SubmitHandler } from './submit.ts'
import { UpdateHandler } from './update.ts'
import { type BlobStore, WorkspaceHandlers } from './workspaces.ts'

/** Makes the handlers of the RPCs over a runtime, a store and the clients of the other owners. */
export function mediatorHandlers(init: {
  readonly runtime: MediatorRuntime
  /** Told by the runtime's effects. */
  readonly taken: TakenJobs
  readonly store: BlobStore
  readonly clock: Clock
  readonly timers: Timers
  readonly scheduler: SchedulerClient
  readonly recovery: RecoveryClient
  readonly serving: ServingKnown
}): {
  readonly jobs: HandlersOf<JobServiceService>
  readonly workspaces: HandlersOf<WorkspaceServiceService>
} {
  const { runtime, taken, store, clock, timers, scheduler, recovery, serving } = init
  const changes = new JobChanges(runtime)
  const workspaces = new WorkspaceHandlers({ runtime, store })
  const { has: hasWorkspace } = workspaces
  const jobs = new JobHandlers({ runtime, changes, timers })
  const scale = new ScaleHandler({ runtime, scheduler })
  const update = new UpdateHandler({ runtime, hasWorkspace, serving })
  const submit = new SubmitHandler({
    ...{ runtime, changes, taken, scheduler, clock, timers, hasWorkspace, serving },
  })
  const explain = new ExplainHandler({ runtime, scheduler, recovery })
  return {
    jobs: {
      submitJob: (request, context) => submit.submit(request, context),
      getJob: (request, context) => jobs.get(request, context),
      listJobs: (request, context) => jobs.list(request, context),
      watchJob: (request, context) => jobs.watch(request, context),
      cancelJob: (request, context) => jobs.cancel(request, context),
      scaleJob: (request, context) => scale.scale(request, context),
      updateService: (request, context) => update.update(request, context),
      explainJob: (request, context) => explain.explain(request, context),
    },
    workspaces: {
      uploadWorkspace: (requests, context) => workspaces.upload(requests, context),
      downloadWorkspace: (request, context) => workspaces.download(request, context),
    },
  }
}
