import { accept, type DecideContext, type Decision, type TimerRequest } from '@serverless-ai/kernel'
import type { FaultEvent, FaultInput } from './messages.ts'
import type { FaultState, GangState, JobState, TaskEnd } from './model.ts'

/** Feature level from which on services and planned changes are judged. */
export const SERVING_LEVEL = 2

type CommandOf<T extends FaultInput['type']> = Extract<FaultInput, { type: T }>

/** Names a generation in the key of a timer. */
export interface Generation {
  readonly jobId: string
  readonly gang: number
  readonly generation: number
}

/** True when the log may hold what this file records. */
export const serves = ({ featureLevel = 1 }: DecideContext): boolean =>
  featureLevel >= SERVING_LEVEL

/** The timer that asks whether a started replica is ready by now. */
export function startupTimer(
  job: JobState | undefined,
  of: Generation,
  atMs: number,
): TimerRequest[] {
  const deadlineMs = job?.service?.startupDeadlineMs ?? 0
  if (deadlineMs === 0) return []
  const key = `startup:${of.jobId}:${of.gang}:${of.generation}`
  return [{ key, dueMs: atMs + deadlineMs }]
}

/** Timers of all replicas that started before the job was described. */
export function startupTimers(job: JobState, atMs: number): TimerRequest[] {
  return [...job.gangs].flatMap(([gang, { generation, started }]) =>
    started.has(0) ? startupTimer(job, { jobId: job.jobId, gang, generation }, atMs) : [],
  )
}

/** A service has another description: replicas that start from now on have another deadline. */
export function describeService(
  { jobId, startupDeadlineMs }: CommandOf<'DescribeService'>,
  state: FaultState,
  context: DecideContext,
): Decision<FaultEvent> {
  const service = state.jobs.get(jobId)?.service
  const same = service === undefined || service.startupDeadlineMs === startupDeadlineMs
  if (same || !serves(context)) return accept<FaultEvent>([])
  return accept<FaultEvent>([{ type: 'ServiceDescribed', jobId, startupDeadlineMs }])
}

/** What the probe of a replica found. */
export function noteReadiness(
  command: CommandOf<'NoteReadiness'>,
  state: FaultState,
  context: DecideContext,
): Decision<FaultEvent> {
  const { jobId, gang: number, generation, ready, cause } = command
  const gang = state.jobs.get(jobId)?.gangs.get(number)
  if (!serves(context)) return accept<FaultEvent>([])
  if (gang === undefined || gang.generation !== generation) return accept<FaultEvent>([])
  if (gang.releasedThrough >= generation) return accept<FaultEvent>([])
  if (gang.readiness?.ready === ready && gang.readiness.cause === cause) {
    return accept<FaultEvent>([])
  }
  return accept<FaultEvent>([
    { type: 'ReadinessNoted', jobId, gang: number, generation, ready, cause },
  ])
}

/** The end of a replica that did not become ready in time; undefined when that is not so. */
export function neverReady(
  { jobId, gang: number, generation }: Generation,
  state: FaultState,
): TaskEnd | undefined {
  const job = state.jobs.get(jobId)
  const gang = job?.gangs.get(number)
  if (job?.service === undefined || job.ended || gang === undefined) return undefined
  if (gang.generation !== generation || gang.releasedThrough >= generation) return undefined
  if (gang.readyMs !== undefined || gang.ends.has(0)) return undefined
  const cause = gang.readiness?.cause ?? 'no answer'
  return {
    rank: 0,
    nodeId: gang.nodeOfRank[0] ?? '',
    cause: 'NEVER_READY',
    exitCode: -1,
    signal: '',
    message: `not ready ${job.service.startupDeadlineMs} ms after its start: ${cause}`,
    atMs: 0,
  }
}

/** Key of the timer that ends the wait for a checkpoint. */
const noticeTimer = (of: Generation): string => `notice:${of.jobId}:${of.gang}:${of.generation}`

/** The scheduler waits for a checkpoint before it places a gang with another number of tasks. */
export function noteNotice(
  command: CommandOf<'NoteNotice'>,
  state: FaultState,
  context: DecideContext,
): Decision<FaultEvent> {
  const { jobId, gang: number, generation, notice } = command
  const gang = state.jobs.get(jobId)?.gangs.get(number)
  if (!serves(context) || gang?.notice?.id === notice.id) return accept<FaultEvent>([])
  if (gang !== undefined && isOver(gang, generation)) return accept<FaultEvent>([])
  const dueMs = Math.max(context.atMs, notice.deadlineMs)
  return accept<FaultEvent>([{ type: 'NoticeNoted', jobId, gang: number, generation, notice }], {
    timers: [{ key: noticeTimer({ jobId, gang: number, generation }), dueMs }],
  })
}

const isOver = (gang: GangState, generation: number): boolean =>
  generation < gang.generation || generation <= gang.releasedThrough

/** The wait is over: by the checkpoint that was asked for, or without one. */
export function endNotice(of: Generation, state: FaultState, late: boolean): Decision<FaultEvent> {
  const { jobId, gang: number, generation } = of
  const gang = state.jobs.get(jobId)?.gangs.get(number)
  const notice = gang?.notice
  if (gang === undefined || notice === undefined || isOver(gang, generation)) {
    return accept<FaultEvent>([])
  }
  if (gang.generation !== generation) return accept<FaultEvent>([])
  const checkpoint = gang.checkpoints[0]
  const lost = Math.max(0, gang.progressStep - (checkpoint?.step ?? 0))
  const why = late ? `; no checkpoint in time, ${lost} steps are done again` : ''
  const effect = {
    key: `resize:${jobId}:${number}:${generation}`,
    kind: 'Recover',
    payload: {
      jobId,
      gang: number,
      expectedGeneration: generation,
      incidentId: notice.id,
      checkpointPath: checkpoint?.path ?? '',
      checkpointStep: checkpoint?.step ?? 0,
      notBeforeMs: 0,
      avoidNodes: [],
      cause: `${notice.cause}${why}`,
      restartsCharged: gang.restartsCharged,
    },
  }
  const settled: FaultEvent = { type: 'NoticeSettled', jobId, gang: number, generation, late }
  const cancelTimers = late ? [] : [noticeTimer(of)]
  return accept<FaultEvent>([settled], { effects: [effect], cancelTimers })
}
