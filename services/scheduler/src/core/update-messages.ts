/** Give the replicas of a service another revision, one after another. */
export type UpdateService = {
  readonly type: 'UpdateService'
  readonly jobId: string
  /** Counts the updates of the job, from 1; a known one, or an older one, changes nothing. */
  readonly number: number
  /** From 1; a former one rolls back. */
  readonly revision: number
  readonly drainMs: number
  /** Replicas above the wanted number meanwhile. */
  readonly maxSurge: number
  /** Replicas below the wanted number that may be missing meanwhile. */
  readonly maxUnavailable: number
  /** A replica of the revision that is not ready so long after its start stalls the update. */
  readonly startupDeadlineMs: number
  readonly by: string
}

/** The time in which a replica of a new revision has to become ready is over. */
export type EndStartup = {
  readonly type: 'EndStartup'
  readonly jobId: string
  readonly gang: number
  readonly generation: number
}

/** Events of updates; the level of each log must allow them first. */
export type UpdateEvent = UpdateStarted | UpdateStalled | UpdateFinished

/** Replicas become those of another revision. */
export type UpdateStarted = Omit<UpdateService, 'type'> & {
  readonly type: 'UpdateStarted'
  /** Revision that was whole before. */
  readonly fromRevision: number
}

/** Replicas of the revision do not become ready: the others go on. */
export type UpdateStalled = {
  readonly type: 'UpdateStalled'
  readonly jobId: string
  readonly number: number
  readonly cause: string
}

/** All replicas are of the revision. */
export type UpdateFinished = {
  readonly type: 'UpdateFinished'
  readonly jobId: string
  readonly number: number
}
