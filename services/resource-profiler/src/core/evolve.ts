import { invariant, unreachable } from '@serverless-ai/kernel'
import { evolveLoad } from './load/record.ts'
import type { GangKey, PlacedFact, ProfilerEvent, TaskUsage } from './messages.ts'
import {
  type BurstState,
  CHECKPOINTS_KEPT,
  type GangState,
  type JobState,
  NAME_MAX,
  newGang,
  newJob,
  type ProfilerState,
  RELEASED_KEPT,
  STEPS_KEPT,
  STORY_KEPT,
  type StepPoint,
} from './model.ts'
import { iterationOf } from './profile.ts'
import { keepReady, keepStart, startFact } from './starts.ts'
import { storyOf } from './story.ts'
import { addPoint, addUsage } from './usage.ts'

type EventOf<T extends ProfilerEvent['type']> = Extract<ProfilerEvent, { type: T }>

function jobOf(state: ProfilerState, jobId: string): JobState {
  const found = state.jobs.get(jobId)
  invariant(found !== undefined, `an event of the unknown job ${jobId}`)
  return found
}

function gangOf(state: ProfilerState, key: GangKey): { job: JobState; gang: GangState } {
  const job = jobOf(state, key.jobId)
  const gang = job.gangs.get(key.gang)
  invariant(gang?.generation === key.generation, `an event of the unknown gang ${key.gang}`)
  return { job, gang }
}

/** What a generation that ends had is kept. */
function keepPast(job: JobState, atMs: number): void {
  const { basis, periodUs, lowUs, highUs } = iterationOf(job, atMs)
  if (basis.unknown !== '' || job.isService) return
  const { source, samples, spanMs, newestMs } = basis
  job.past = { periodUs, lowUs, highUs, source, samples, spanMs, newestMs }
}

function noteGang(state: ProfilerState, placed: PlacedFact, atMs: number): void {
  const job = jobOf(state, placed.jobId)
  keepPast(job, atMs)
  const { gang, generation, nodeOfRank, devices, perTask } = placed
  job.placed = true
  job.perTask = perTask
  job.isService ||= state.services.has(job.jobId)
  const known = job.gangs.get(gang)
  if (known?.generation !== generation) {
    job.gangs.set(gang, { ...newGang(gang, generation), nodeOfRank, devices, placedMs: atMs })
    return
  }
  // Tasks of it ran before: when it was placed is not known.
  const startedMs = known.started.size >= nodeOfRank.length ? known.latestMs : 0
  job.gangs.set(gang, { ...known, nodeOfRank, devices, startedMs })
}

function forgetGang(state: ProfilerState, event: EventOf<'GangForgotten'>, atMs: number): void {
  const job = jobOf(state, event.jobId)
  const { gang, through } = event
  keepPast(job, atMs)
  if ((job.gangs.get(gang)?.generation ?? 0) <= through) job.gangs.delete(gang)
  const others = job.released.filter(([of]) => of !== gang)
  job.released = [...others, [gang, through] as const].slice(-RELEASED_KEPT)
}

function noteStart(state: ProfilerState, event: EventOf<'TaskStartNoted'>): void {
  const { job, gang } = gangOf(state, event.key)
  gang.started.add(event.rank)
  const size = gang.nodeOfRank.length
  const latestMs = Math.max(gang.latestMs, event.startedMs)
  const startedMs = size > 0 && gang.started.size >= size ? latestMs : 0
  const now = { ...gang, latestMs, startedMs }
  job.gangs.set(gang.gang, now)
  if (startedMs > 0) job.starts = keepStart(job.starts, startFact(now))
}

function measureStart(state: ProfilerState, { key, readyMs }: EventOf<'StartMeasured'>): void {
  const { job, gang } = gangOf(state, key)
  job.gangs.set(gang.gang, { ...gang, readyMs })
  job.starts = keepReady(job.starts, gang, readyMs)
}

function noteStep(state: ProfilerState, event: EventOf<'StepNoted'>): void {
  const { job, gang } = gangOf(state, event.key)
  const { clock, points } = gang.track
  const last = points.at(-1)
  // Another clock, or steps that begin anew: what was before says nothing about what comes.
  const goesOn = clock === event.clock && (last === undefined || event.step > last[1])
  const point: StepPoint = [event.atMs, event.step]
  const kept = goesOn ? [...points, point].slice(-STEPS_KEPT) : [point]
  job.gangs.set(gang.gang, { ...gang, track: { clock: event.clock, points: kept } })
}

/** Two looks agree when their periods differ by less than this, parts of one. */
const AGREEING = 0.1

function burstsOf(job: JobState, usage: TaskUsage): BurstState | null {
  const { bursts: found, gang, generation, rank, toMs } = usage
  if (found === undefined || rank !== 0) return job.bursts
  const before = job.bursts
  if (before !== null && before.gang < gang && job.gangs.has(before.gang)) return before
  const isSame = before?.gang === gang && before.generation === generation
  const off = isSame ? Math.abs(found.periodUs - before.periodUs) : Number.POSITIVE_INFINITY
  const agrees = found.unknown === '' && off <= AGREEING * found.periodUs
  return { ...found, gang, generation, atMs: toMs, agrees }
}

function recordTask(state: ProfilerState, { usage }: EventOf<'TaskUsageRecorded'>): void {
  const { job, gang } = gangOf(state, usage)
  gang.usageThroughMs.set(usage.rank, usage.toMs)
  job.cpu = addUsage(job.cpu, usage.cpu, usage)
  job.memory = addUsage(job.memory, usage.memory, usage)
  job.bursts = burstsOf(job, usage)
  const { memory } = usage
  if (memory !== undefined && memory.digest.count > 0) {
    const mean = memory.digest.sum / memory.digest.count
    job.memoryTrend = addPoint(job.memoryTrend, usage.toMs, mean)
  }
}

/** How long it took until a period was known first. */
function noteReadiness(job: JobState, atMs: number): void {
  if (job.readyAfterMs >= 0 || iterationOf(job, atMs).basis.unknown !== '') return
  const [gang] = job.gangs.values()
  if (gang !== undefined && gang.startedMs > 0) {
    job.readyAfterMs = Math.max(0, atMs - gang.startedMs)
  }
}

function tell(state: ProfilerState, event: EventOf<'ProfileTold'>, atMs: number): void {
  const job = jobOf(state, event.jobId)
  const { number, numbers } = event
  job.told = { atMs, lookedMs: atMs, number, numbers }
  job.pending = false
}

function skip(
  state: ProfilerState,
  { jobId, what }: EventOf<'TellingSkipped'>,
  atMs: number,
): void {
  if (what === 'profile') {
    const job = jobOf(state, jobId)
    job.told = { ...job.told, lookedMs: atMs }
    job.pending = false
    return
  }
  const load = state.loads.get(jobId)
  if (load === undefined) return
  // A look costs as much as telling: it comes no more often.
  load.toldMs = atMs
  load.pending = false
}

function plan(state: ProfilerState, { jobId, what }: EventOf<'TellingPlanned'>): void {
  if (what === 'profile') jobOf(state, jobId).pending = true
  else {
    const load = state.loads.get(jobId)
    if (load !== undefined) load.pending = true
  }
}

function forgetJob(state: ProfilerState, jobId: string): void {
  state.jobs.delete(jobId)
  state.ended = state.ended.filter((one) => one !== jobId)
}

function endJob(state: ProfilerState, jobId: string, atMs: number): void {
  const job = jobOf(state, jobId)
  keepPast(job, atMs)
  job.endedMs = atMs
  job.pending = false
  job.gangs.clear()
  state.ended = [...state.ended, jobId]
}

const short = (text: string): string => text.slice(0, NAME_MAX)

function evolveJob(
  state: ProfilerState,
  event: Exclude<
    ProfilerEvent,
    { type: `Service${string}` | 'LoadRecorded' | `Telling${string}` | `${string}Told` }
  >,
  atMs: number,
): void {
  switch (event.type) {
    case 'ProfileBegun': {
      const { jobId, tenant, name, queue } = event
      const job = newJob(jobId, tenant)
      job.name = short(name)
      job.queue = short(queue)
      state.jobs.set(jobId, job)
      return
    }
    case 'ProfileNamed': {
      const job = jobOf(state, event.jobId)
      job.tenant = event.tenant
      job.name = short(event.name)
      job.queue = short(event.queue)
      return
    }
    case 'ProfileEnded':
      endJob(state, event.jobId, atMs)
      return
    case 'ProfileForgotten':
      forgetJob(state, event.jobId)
      return
    case 'GangNoted':
      noteGang(state, event.placed, atMs)
      return
    case 'GangForgotten':
      forgetGang(state, event, atMs)
      return
    case 'GangExpected': {
      const { jobId, gang, generation } = event.key
      const job = jobOf(state, jobId)
      keepPast(job, atMs)
      job.gangs.set(gang, newGang(gang, generation))
      return
    }
    case 'TaskStartNoted':
      noteStart(state, event)
      return
    case 'StartMeasured':
      measureStart(state, event)
      return
    case 'StepNoted':
      noteStep(state, event)
      noteReadiness(jobOf(state, event.key.jobId), atMs)
      return
    case 'CheckpointNoted': {
      const { job } = gangOf(state, event.key)
      const { step, bytes } = event
      job.checkpoints = [...job.checkpoints, { atMs, step, bytes }].slice(-CHECKPOINTS_KEPT)
      return
    }
    case 'TaskUsageRecorded':
      recordTask(state, event)
      noteReadiness(jobOf(state, event.usage.jobId), atMs)
      return
    case 'DeviceUsageRecorded': {
      const { usage } = event
      const job = jobOf(state, event.jobId)
      job.deviceBusy = addUsage(job.deviceBusy, usage.busy, usage)
      job.deviceMemory = addUsage(job.deviceMemory, usage.memory, usage)
      return
    }
    default:
      unreachable(event)
  }
}

function evolveAny(state: ProfilerState, event: ProfilerEvent, atMs: number): void {
  switch (event.type) {
    case 'ServiceNoted': {
      const { jobId, tenant, name } = event
      state.services.set(jobId, { tenant, name: short(name) })
      const job = state.jobs.get(jobId)
      if (job !== undefined) job.isService = true
      return
    }
    case 'ServiceForgotten':
      state.services.delete(event.jobId)
      state.loads.delete(event.jobId)
      return
    case 'LoadRecorded':
      evolveLoad(state, event.row)
      return
    case 'TellingPlanned':
      plan(state, event)
      return
    case 'TellingSkipped':
      skip(state, event, atMs)
      return
    case 'ProfileTold':
      tell(state, event, atMs)
      return
    case 'ForecastTold': {
      const load = state.loads.get(event.jobId)
      if (load === undefined) return
      load.toldMs = atMs
      load.toldLevel = event.level
      load.pending = false
      return
    }
    default:
      evolveJob(state, event, atMs)
  }
}

/** Folds one event. Changes `state` in place. */
export function evolve(state: ProfilerState, event: ProfilerEvent, atMs: number): ProfilerState {
  const told = storyOf(event, state, atMs)
  evolveAny(state, event, atMs)
  state.lastMs = atMs
  const job = told === undefined ? undefined : state.jobs.get(told.jobId)
  if (told !== undefined && job !== undefined) {
    job.story = [...job.story, told.line].slice(-STORY_KEPT)
  }
  return state
}
