import type { Clock, Timers } from '@serverless-ai/kernel'
import { JobChanges } from './changes.ts'
import type { MediatorRuntime, SchedulerClient } from './definition.ts'
import { ExplainHandler, type RecoveryClient } from './explain.ts'
import { JobHandlers } from './jobs.ts'
import { SubmitHandler } from './submit.ts'
import { type BlobStore, WorkspaceHandlers } from './workspaces.ts'

/** The business side of the mediator's RPCs. */
export interface MediatorHandlers {
  readonly jobs: JobHandlers
  readonly submit: SubmitHandler
  readonly explain: ExplainHandler
  readonly workspaces: WorkspaceHandlers
}

/** Makes the handlers over a runtime, a store and the clients of the other owners. */
export function mediatorHandlers(init: {
  readonly runtime: MediatorRuntime
  readonly store: BlobStore
  readonly clock: Clock
  readonly timers: Timers
  readonly scheduler: SchedulerClient
  readonly recovery: RecoveryClient
}): MediatorHandlers {
  const { runtime, store, clock, timers, scheduler, recovery } = init
  const changes = new JobChanges(runtime)
  const workspaces = new WorkspaceHandlers({ runtime, store })
  return {
    jobs: new JobHandlers({ runtime, changes, timers }),
    submit: new SubmitHandler({
      runtime,
      changes,
      scheduler,
      clock,
      timers,
      hasWorkspace: workspaces.has,
    }),
    explain: new ExplainHandler({ runtime, scheduler, recovery }),
    workspaces,
  }
}
