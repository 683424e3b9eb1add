import { invariant, unreachable } from '@serverless-ai/kernel'
import { changeService, queueService, show } from './evolve-services.ts'
import { noteFailure } from './evolve-updates.ts'
import { free, hold } from './holdings.ts'
import { enter, firstScale, forgetOldest, newJob, notice, rescale, tell } from './job-changes.ts'
import type {
  GangPlaced,
  GangReleased,
  JobCancelled,
  JobFailed,
  JobRecovering,
  JobSucceeded,
  SchedulerEvent,
  TasksObserved,
} from './messages.ts'
import { addWaiting, stopWaiting } from './queueing.ts'
import type { Holding, Job, QueueState, RankTally, SchedulerState, Service } from './state.ts'
import { emptyQueue, holdingKey, isFinished, isPlaced, placedTasks, unitOf } from './state.ts'
import { reasonDetails } from './story.ts'
import type { JobSpec } from './types.ts'
import { NOT_YET, plus, times } from './types.ts'

/** Is this an event after which a placement round may find something to do? */
function concernsRound(event: SchedulerEvent): boolean {
  return !(
    event.type === 'ClassReasonChanged' ||
    event.type === 'JobReasonChanged' ||
    event.type === 'TasksObserved' ||
    event.type === 'ResultReported'
  )
}

/** Folds one event into the state, in place. */
export function evolve(state: SchedulerState, event: SchedulerEvent, atMs: number): SchedulerState {
  const { memo } = state
  if (concernsRound(event)) memo.changes++
  apply(state, event, atMs)
  if (memo.pending?.last === event) {
    memo.pending.learn()
    memo.pending = undefined
  }
  return state
}

function apply(state: SchedulerState, event: SchedulerEvent, atMs: number): void {
  switch (event.type) {
    case 'QueueCreated':
      invariant(!state.queues.has(event.queue.name), `queue ${event.queue.name} made twice`)
      state.queues.set(event.queue.name, emptyQueue(event.queue))
      break
    case 'NodeObserved':
      state.fleet.setNode(event.node)
      break
    case 'NodeLost': {
      const node = state.fleet.indexOf(event.nodeId)
      invariant(node !== undefined, `unknown node ${event.nodeId} lost`)
      state.fleet.setState(node, 'Lost')
      break
    }
    case 'RanksFreed':
      free(state, event)
      break
    case 'ClassReasonChanged': {
      const waiting = queueOf(state, event.queue).classes.get(event.shape)
      invariant(waiting !== undefined, `no jobs of shape ${event.shape} wait`)
      waiting.setReason(event.reason, atMs)
      break
    }
    case 'JobQueued':
      enqueue(state, event.job, atMs)
      break
    case 'ServiceQueued':
      queueService(state, event.job, atMs)
      break
    default: {
      const service = state.services.get(event.jobId)
      if (service === undefined) evolveJob(state, jobOf(state, event), event, atMs)
      else evolveService(state, service, event, atMs)
    }
  }
}

function evolveService(
  state: SchedulerState,
  service: Service,
  event: JobEvent,
  atMs: number,
): void {
  if (!changeService(state, service, event, atMs)) {
    if (event.type === 'JobRecovering') noteFailure(service, event.gang)
    evolveJob(state, jobOf(state, event), event, atMs)
  }
  show(service, atMs)
}

export type JobEvent = Exclude<
  SchedulerEvent,
  {
    type:
      | 'QueueCreated'
      | 'NodeObserved'
      | 'NodeLost'
      | 'RanksFreed'
      | 'ClassReasonChanged'
      | 'JobQueued'
      | 'ServiceQueued'
  }
>

function evolveJob(state: SchedulerState, job: Job, event: JobEvent, atMs: number): void {
  switch (event.type) {
    case 'GangPlaced':
      place(state, job, event, atMs)
      break
    case 'TasksObserved':
      observe(job, event, atMs)
      break
    case 'ResultReported':
      job.result = event.json
      break
    case 'GangReleased':
      release(state, job, event, atMs)
      break
    case 'JobReasonChanged': {
      invariant(job.phase.at === 'Recovering', `${job.spec.jobId} has no reason of its own`)
      const news = job.phase.reason.code !== event.reason.code
      job.phase = { ...job.phase, reason: event.reason }
      if (news) tell(job, { atMs, code: 'QUEUED', details: reasonDetails(event.reason) })
      break
    }
    case 'JobRecovering':
      recover(job, event, atMs)
      break
    case 'BackoffEnded':
      invariant(job.phase.at === 'Recovering', `${job.spec.jobId} has no back-off`)
      job.phase = { ...job.phase, notBeforeMs: 0 }
      break
    case 'JobSucceeded':
    case 'JobFailed':
    case 'JobCancelled':
      finish(state, job, event, atMs)
      break
    case 'ScaleChanged':
      rescale(state, job, event, atMs)
      break
    case 'CheckpointRequested':
      notice(job, event, atMs)
      break
    case 'ReplicasAdded':
    case 'ReplicaReady':
    case 'ReplicaDraining':
    case 'ReplicaRemoved':
    case 'UpdateStarted':
    case 'UpdateStalled':
    case 'UpdateFinished':
      invariant(false, `${event.jobId} has no replicas`)
      break
    default:
      unreachable(event)
  }
}

function queueOf(state: SchedulerState, name: string): QueueState {
  const queue = state.queues.get(name)
  invariant(queue !== undefined, `unknown queue ${name}`)
  return queue
}

function jobOf(state: SchedulerState, of: { jobId: string; gang?: number }): Job {
  const { jobId, gang = 0 } = of
  const job = unitOf(state, jobId, gang)
  invariant(job !== undefined, `unknown job ${jobId}, gang ${gang}`)
  return job
}

function enqueue(state: SchedulerState, spec: JobSpec, atMs: number): void {
  invariant(!state.jobs.has(spec.jobId), `job ${spec.jobId} queued twice`)
  const job = newJob(spec, state.nextOrder++, atMs)
  if (spec.gang.elastic !== undefined) job.scale = firstScale(spec.gang.tasks, atMs)
  state.jobs.set(spec.jobId, job)
  state.live++
  addWaiting(queueOf(state, spec.queue), job)
}

function place(state: SchedulerState, job: Job, event: GangPlaced, atMs: number): void {
  invariant(event.generation === job.generation + 1, `generation ${event.generation} out of order`)
  invariant(!isPlaced(job.phase) && !isFinished(job.phase), `${job.spec.jobId} cannot be placed`)
  const queue = queueOf(state, job.spec.queue)
  stopWaiting(queue, job)
  const { gang } = job.spec
  const tasks = event.tasksOnNode.reduce((sum, count) => sum + count, 0)
  const nodes = event.nodes.map((id) => {
    const node = state.fleet.indexOf(id)
    invariant(node !== undefined, `placed on unknown node ${id}`)
    return node
  })
  const holding: Holding = {
    jobId: event.jobId,
    gang: event.gang,
    generation: event.generation,
    perTask: gang.perTask,
    nodes,
    tasksOnNode: event.tasksOnNode,
    deviceIndexes: event.deviceIndexes,
    ports: event.rank0Ports,
    masterAddress: event.masterAddress,
    nodeEmulated: event.nodeEmulated,
    freed: new Uint8Array(tasks),
    held: tasks,
  }
  hold(state, holding)
  queue.used = plus(queue.used, times(gang.perTask, tasks))
  queue.placed++
  job.generation = event.generation
  delete job.resizing
  const tally: RankTally = { ranks: new Uint8Array(tasks), started: 0, ended: 0 }
  const details = {
    generation: String(event.generation),
    nodes: event.nodes.join(','),
    tasksOnNode: event.tasksOnNode.join(','),
    checkpoint: event.checkpointPath,
    checkpointStep: String(event.checkpointStep),
    ...(event.revision === undefined ? {} : { revision: String(event.revision) }),
  }
  enter(job, { at: 'Admitted', tally }, { atMs, code: 'PLACED', details })
}

function observe(job: Job, event: TasksObserved, atMs: number): void {
  invariant(isPlaced(job.phase), `${job.spec.jobId} has no tasks`)
  const { tally } = job.phase
  for (const rank of event.started) {
    invariant(tally.ranks[rank] === 0, `rank ${rank} started twice`)
    tally.ranks[rank] = 1
    tally.started++
  }
  for (const rank of event.ended) {
    invariant(tally.ranks[rank] === 1, `rank ${rank} ended before it started`)
    tally.ranks[rank] = 2
    tally.ended++
  }
  if (event.phase === '') return
  const details = { generation: String(event.generation) }
  enter(job, { at: event.phase, tally }, { atMs, code: event.phase.toUpperCase(), details })
}

/**
 * After a release the job is between generations until an event says more; a finished one keeps its
 * end.
 */
function release(state: SchedulerState, job: Job, event: GangReleased, atMs: number): void {
  job.releasedThrough = event.throughGeneration
  // A holding stays known until it is both freed and released.
  delete job.ready
  const key = holdingKey(event.jobId, event.gang, event.throughGeneration)
  if (state.holdings.get(key)?.held === 0) state.holdings.delete(key)
  const details = { throughGeneration: String(event.throughGeneration), cause: event.cause }
  tell(job, { atMs, code: 'RELEASED', details })
  if (event.cause === 'RESIZE') job.resizing = true
  if (!isPlaced(job.phase)) return
  const queue = queueOf(state, job.spec.queue)
  queue.used = plus(queue.used, times(job.spec.gang.perTask, placedTasks(job)), -1)
  queue.placed--
  queue.gains++
  queue.recovering.push(job)
  job.phase = { at: 'Recovering', notBeforeMs: 0, reason: NOT_YET, cause: event.cause }
}

function recover(job: Job, event: JobRecovering, atMs: number): void {
  const { plan, reason } = event
  invariant(job.phase.at === 'Recovering', `${job.spec.jobId} recovers without a release`)
  delete job.notice
  job.recovered = { generation: event.generation, incidentId: plan.incidentId }
  job.checkpointPath = plan.checkpointPath
  job.checkpointStep = plan.checkpointStep
  job.restartsCharged = plan.restartsCharged
  job.avoidNodes = plan.avoidNodes
  const details = {
    generation: String(event.generation),
    incident: plan.incidentId,
    cause: plan.cause,
    checkpointStep: String(plan.checkpointStep),
    ...(reason.code === NOT_YET.code ? {} : reasonDetails(reason)),
  }
  const phase = { ...job.phase, notBeforeMs: plan.notBeforeMs, reason, cause: plan.cause }
  enter(job, phase, { atMs, code: 'RECOVERING', details })
}

function finish(
  state: SchedulerState,
  job: Job,
  event: JobSucceeded | JobFailed | JobCancelled,
  atMs: number,
): void {
  invariant(!isFinished(job.phase) && !isPlaced(job.phase), `${job.spec.jobId} cannot end now`)
  stopWaiting(queueOf(state, job.spec.queue), job)
  if (event.type === 'JobSucceeded') {
    enter(job, { at: 'Succeeded' }, { atMs, code: 'SUCCEEDED', details: {} })
  } else if (event.type === 'JobFailed') {
    const { code, cause, incidentId } = event
    const details = { code, cause, incident: incidentId }
    enter(job, { at: 'Failed', code, cause }, { atMs, code: 'FAILED', details })
  } else {
    const details = { by: event.by }
    enter(job, { at: 'Cancelled', by: event.by }, { atMs, code: 'CANCELLED', details })
  }
  forgetOldest(state, job.spec.jobId)
}
