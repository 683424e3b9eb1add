import {
  accept,
  type DecideContext,
  type Decision,
  type TimerRequest,
  unreachable,
} from '@serverless-ai/kernel'
import type { GangKey, LoadRow, PlacedFact, ProfilerCommand, ProfilerEvent } from './messages.ts'
import { forecastTimer, profileTimer, untoldTimer } from './messages.ts'
import {
  CLOCK_NEAR_MS,
  ENDED_KEPT,
  type GangState,
  type JobState,
  MAX_GANGS,
  MAX_JOBS,
  MAX_SERVICES,
  newLoad,
  type ProfilerState,
  STEP_GAP_MS,
  UNTOLD_MS,
} from './model.ts'
import { recordUsage } from './record.ts'
import { planForecast, planProfile, tellEnd, tellForecast, tellProfile } from './tell.ts'

type CommandOf<T extends ProfilerCommand['type']> = Extract<ProfilerCommand, { type: T }>

const nothing = (): Decision<ProfilerEvent> => accept<ProfilerEvent>([])

/** Events of a job, and that its profile is looked at soon. */
function andLook(
  events: readonly ProfilerEvent[],
  job: JobState | undefined,
  atMs: number,
): Decision<ProfilerEvent> {
  const planned = job === undefined || events.length === 0 ? nothing() : planProfile(job, atMs)
  if (!planned.accepted) return planned
  return accept([...events, ...planned.events], { timers: planned.timers ?? [] })
}

/** True for news of what is over. */
function isOver(job: JobState, { gang, generation }: Omit<GangKey, 'jobId'>): boolean {
  if (job.endedMs > 0) return true
  return job.released.some(([of, through]) => of === gang && through >= generation)
}

/** A job that runs, its gang in that generation. */
function gangOf(
  state: ProfilerState,
  { jobId, gang, generation }: GangKey,
): { readonly job: JobState; readonly gang: GangState } | undefined {
  const job = state.jobs.get(jobId)
  const found = job?.gangs.get(gang)
  if (job === undefined || found === undefined || job.endedMs > 0) return undefined
  return found.generation === generation ? { job, gang: found } : undefined
}

function noteJob(
  { jobId, tenant, name, queue, ended }: CommandOf<'NoteJob'>,
  state: ProfilerState,
  { atMs }: DecideContext,
): Decision<ProfilerEvent> {
  const job = state.jobs.get(jobId)
  if (!ended) {
    if (job === undefined) {
      if (state.jobs.size - state.ended.length >= MAX_JOBS) return nothing()
      return accept<ProfilerEvent>([{ type: 'ProfileBegun', jobId, tenant, name, queue }])
    }
    if (job.name === name && job.queue === queue && job.tenant === tenant) return nothing()
    return accept<ProfilerEvent>([{ type: 'ProfileNamed', jobId, tenant, name, queue }])
  }
  if (job === undefined || job.endedMs > 0) return nothing()
  // A job of which nothing was ever placed leaves nothing behind.
  const cancelTimers = [profileTimer(jobId)]
  if (!job.placed) {
    return accept<ProfilerEvent>([{ type: 'ProfileForgotten', jobId }], { cancelTimers })
  }
  const oldest = state.ended.length >= ENDED_KEPT ? state.ended[0] : undefined
  const events: ProfilerEvent[] = [{ type: 'ProfileEnded', jobId }, ...tellEnd(job, atMs)]
  if (oldest !== undefined) events.push({ type: 'ProfileForgotten', jobId: oldest })
  return accept(events, { cancelTimers })
}

function notePlaced(
  placed: PlacedFact,
  state: ProfilerState,
  { atMs }: DecideContext,
): Decision<ProfilerEvent> {
  const { jobId, tenant, gang, generation } = placed
  const job = state.jobs.get(jobId)
  if (job !== undefined && isOver(job, placed)) return nothing()
  const known = job?.gangs.get(gang)
  if (known !== undefined) {
    if (known.generation > generation) return nothing()
    if (known.generation === generation && known.placedMs > 0) return nothing()
  } else if ((job?.gangs.size ?? 0) >= MAX_GANGS) {
    return nothing()
  }
  const events: ProfilerEvent[] = []
  if (job === undefined) {
    if (state.jobs.size - state.ended.length >= MAX_JOBS) return nothing()
    events.push({ type: 'ProfileBegun', jobId, tenant, name: '', queue: '' })
  }
  events.push({ type: 'GangNoted', placed })
  return andLook(events, job, atMs)
}

function noteStarted(
  { key, rank, startedMs }: CommandOf<'NoteStarted'>,
  state: ProfilerState,
  { atMs }: DecideContext,
): Decision<ProfilerEvent> {
  const job = state.jobs.get(key.jobId)
  if (job !== undefined && isOver(job, key)) return nothing()
  const gang = job?.gangs.get(key.gang)
  if (gang !== undefined && gang.generation > key.generation) return nothing()
  const isKnown = gang?.generation === key.generation
  if (isKnown && gang.started.has(rank)) return nothing()
  if (job === undefined && state.jobs.size - state.ended.length >= MAX_JOBS) return nothing()
  if (gang === undefined && (job?.gangs.size ?? 0) >= MAX_GANGS) return nothing()
  // The scheduler's word comes by another topic: it may be later.
  const expected: ProfilerEvent[] = isKnown ? [] : [{ type: 'GangExpected', key }]
  const ran = Math.min(startedMs, atMs)
  const noted: ProfilerEvent = { type: 'TaskStartNoted', key, rank, startedMs: ran }
  if (job !== undefined) return andLook([...expected, noted], job, atMs)
  const { jobId } = key
  const begun: ProfilerEvent = { type: 'ProfileBegun', jobId, tenant: '', name: '', queue: '' }
  return accept([begun, ...expected, noted], {
    timers: [{ key: untoldTimer(jobId), dueMs: atMs + UNTOLD_MS }],
  })
}

/**
 * A job that the scheduler has not told of ended before its tasks were heard of: its end was told,
 * and forgotten, or lies in a gap, and does not come again.
 */
function forgetUntold(jobId: string, state: ProfilerState): Decision<ProfilerEvent> {
  const job = state.jobs.get(jobId)
  if (job === undefined || job.placed || job.tenant !== '') return nothing()
  const cancelTimers = [profileTimer(jobId)]
  return accept<ProfilerEvent>([{ type: 'ProfileForgotten', jobId }], { cancelTimers })
}

/** The first sign that a gang works ends its start. */
function measuredStart(
  found: { readonly gang: GangState },
  key: GangKey,
  readyMs: number,
): readonly ProfilerEvent[] {
  const { gang } = found
  const isFirst = gang.readyMs === 0 && gang.startedMs > 0
  return isFirst ? [{ type: 'StartMeasured', key, readyMs }] : []
}

function noteReady(
  { key, atMs: toldMs }: CommandOf<'NoteReady'>,
  state: ProfilerState,
  { atMs }: DecideContext,
): Decision<ProfilerEvent> {
  const found = gangOf(state, key)
  if (found === undefined) return nothing()
  const isNear = Math.abs(toldMs - atMs) <= CLOCK_NEAR_MS && toldMs <= atMs
  return andLook(measuredStart(found, key, isNear ? toldMs : atMs), found.job, atMs)
}

function noteStep(
  { key, rank, step, atMs: toldMs }: CommandOf<'NoteStep'>,
  state: ProfilerState,
  { atMs }: DecideContext,
): Decision<ProfilerEvent> {
  const found = gangOf(state, key)
  if (found === undefined || rank !== 0 || step < 0) return nothing()
  const { track } = found.gang
  const isNear = toldMs > 0 && Math.abs(toldMs - atMs) <= CLOCK_NEAR_MS
  const clock = isNear ? 'task' : 'log'
  const now = isNear ? toldMs : atMs
  const last = track.clock === clock ? track.points.at(-1) : undefined
  const isNext = last === undefined || (now - last[0] >= STEP_GAP_MS && step !== last[1])
  // A clock that goes back tells nothing; steps that do begin anew.
  const isBack = last !== undefined && now <= last[0]
  const events: ProfilerEvent[] = [...measuredStart(found, key, Math.min(now, atMs))]
  if (isNext && !isBack) events.push({ type: 'StepNoted', key, step, atMs: now, clock })
  return andLook(events, found.job, atMs)
}

function noteCheckpoint(
  { key, step, bytes }: CommandOf<'NoteCheckpoint'>,
  state: ProfilerState,
  { atMs }: DecideContext,
): Decision<ProfilerEvent> {
  const found = gangOf(state, key)
  if (found === undefined) return nothing()
  return andLook([{ type: 'CheckpointNoted', key, step, bytes }], found.job, atMs)
}

function noteReleased(
  { jobId, gang, through }: CommandOf<'NoteReleased'>,
  state: ProfilerState,
): Decision<ProfilerEvent> {
  const job = state.jobs.get(jobId)
  if (job === undefined || isOver(job, { gang, generation: through })) return nothing()
  return accept<ProfilerEvent>([{ type: 'GangForgotten', jobId, gang, through }])
}

function declareService(
  { jobId, tenant, name }: CommandOf<'DeclareService'>,
  state: ProfilerState,
): Decision<ProfilerEvent> {
  const known = state.services.get(jobId)
  if (known?.name === name && known.tenant === tenant) return nothing()
  if (known === undefined && state.services.size >= MAX_SERVICES) return nothing()
  return accept<ProfilerEvent>([{ type: 'ServiceNoted', jobId, tenant, name }])
}

/** Rows of services that are known, each behind what is recorded already. */
function recordLoad(
  { rows }: CommandOf<'RecordLoad'>,
  state: ProfilerState,
  { atMs }: DecideContext,
): Decision<ProfilerEvent> {
  const events: ProfilerEvent[] = []
  const timers: TimerRequest[] = []
  for (const row of rows) {
    if (!state.services.has(row.jobId)) continue
    const load = state.loads.get(row.jobId) ?? newLoad(row.jobId)
    const fresh = behind(row, load.newest)
    if (fresh === undefined) continue
    events.push({ type: 'LoadRecorded', row: fresh })
    const planned = planForecast(load, state.loads.size, atMs)
    if (!planned.accepted) continue
    events.push(...planned.events)
    timers.push(...(planned.timers ?? []))
  }
  return accept(events, { timers })
}

/** What of a row is newer than a bucket. */
function behind(row: LoadRow, newest: number): LoadRow | undefined {
  const known = Math.max(0, newest + 1 - row.first)
  if (known >= row.arrivals.length) return undefined
  return {
    ...row,
    first: row.first + known,
    arrivals: row.arrivals.slice(known),
    tokens: row.tokens.slice(known),
  }
}

/** Decides one command. Inputs may come in any order and twice: what is known changes nothing. */
export function decide(
  command: Exclude<ProfilerCommand, { type: 'ReplaceSource' }>,
  state: ProfilerState,
  context: DecideContext,
): Decision<ProfilerEvent> {
  switch (command.type) {
    case 'NoteJob':
      return noteJob(command, state, context)
    case 'NotePlaced':
      return notePlaced(command.placed, state, context)
    case 'NoteReleased':
      return noteReleased(command, state)
    case 'NoteStarted':
      return noteStarted(command, state, context)
    case 'NoteReady':
      return noteReady(command, state, context)
    case 'NoteStep':
      return noteStep(command, state, context)
    case 'NoteCheckpoint':
      return noteCheckpoint(command, state, context)
    case 'DeclareService':
      return declareService(command, state)
    case 'EndService': {
      const { jobId } = command
      if (!state.services.has(jobId)) return nothing()
      return accept<ProfilerEvent>([{ type: 'ServiceForgotten', jobId }], {
        cancelTimers: [forecastTimer(jobId)],
      })
    }
    case 'RecordUsage':
      return recordUsage(command, state, context)
    case 'RecordLoad':
      return recordLoad(command, state, context)
    case 'TellProfile':
      return tellProfile(command.jobId, state, context)
    case 'TellForecast':
      return tellForecast(command.jobId, state, context)
    case 'ForgetUntold':
      return forgetUntold(command.jobId, state)
    default:
      return unreachable(command)
  }
}
