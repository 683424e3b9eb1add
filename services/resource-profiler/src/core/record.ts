/** Usage that was measured → events of the jobs that it belongs to. */
import { accept, type DecideContext, type Decision, type TimerRequest } from '@serverless-ai/kernel'
import type { DeviceUsage, ProfilerCommand, ProfilerEvent, TaskUsage } from './messages.ts'
import type { GangState, JobState, ProfilerState } from './model.ts'
import { planProfile } from './tell.ts'

type Record = Extract<ProfilerCommand, { type: 'RecordUsage' }>

/** Stretches of one task may overlap by this much: a sample is the end of a stretch. */
const OVERLAP_MS = 1_500

/** Where a node says that it measured a task, the task has to be. */
function isFrom(gang: GangState, usage: TaskUsage): boolean {
  return gang.generation === usage.generation && gang.nodeOfRank[usage.rank] === usage.nodeId
}

function isNew(gang: GangState, usage: TaskUsage): boolean {
  const through = gang.usageThroughMs.get(usage.rank) ?? 0
  return usage.toMs > through && usage.fromMs >= through - OVERLAP_MS
}

const deviceKey = (nodeId: string, index: number): string => `${index}@${nodeId}`

/** Job that has each device of open gangs. */
function ownersOf(state: ProfilerState): ReadonlyMap<string, JobState> {
  const owners = new Map<string, JobState>()
  for (const job of state.jobs.values()) {
    const { devices: each } = job.perTask
    if (job.endedMs > 0 || each === 0) continue
    for (const { nodeOfRank, devices } of job.gangs.values()) {
      for (const [at, index] of devices.entries()) {
        const nodeId = nodeOfRank[Math.floor(at / each)] ?? ''
        owners.set(deviceKey(nodeId, index), job)
      }
    }
  }
  return owners
}

function ofTasks(
  tasks: readonly TaskUsage[],
  state: ProfilerState,
): readonly (readonly [JobState, ProfilerEvent])[] {
  return tasks.flatMap((usage) => {
    const job = state.jobs.get(usage.jobId)
    const gang = job?.gangs.get(usage.gang)
    if (job === undefined || job.endedMs > 0 || gang === undefined) return []
    if (!isFrom(gang, usage) || !isNew(gang, usage)) return []
    return [[job, { type: 'TaskUsageRecorded', usage }] as const]
  })
}

function ofDevices(
  devices: readonly DeviceUsage[],
  state: ProfilerState,
): readonly (readonly [JobState, ProfilerEvent])[] {
  if (devices.length === 0) return []
  const owners = ownersOf(state)
  return devices.flatMap((usage) => {
    const job = owners.get(deviceKey(usage.nodeId, usage.index))
    if (job === undefined) return []
    // What another leader recorded of the same time is in already.
    const newest = Math.max(job.deviceBusy?.newestMs ?? 0, job.deviceMemory?.newestMs ?? 0)
    if (usage.toMs <= newest && usage.fromMs < newest - OVERLAP_MS) return []
    return [[job, { type: 'DeviceUsageRecorded', jobId: job.jobId, usage }] as const]
  })
}

/** Takes what fits what is known; the rest is of tasks that are gone, or came before. */
export function recordUsage(
  { tasks, devices }: Record,
  state: ProfilerState,
  { atMs }: DecideContext,
): Decision<ProfilerEvent> {
  const events: ProfilerEvent[] = []
  const timers: TimerRequest[] = []
  const touched = new Set<JobState>()
  for (const [job, event] of [...ofTasks(tasks, state), ...ofDevices(devices, state)]) {
    events.push(event)
    touched.add(job)
  }
  for (const job of touched) {
    const planned = planProfile(job, atMs)
    if (!planned.accepted) continue
    events.push(...planned.events)
    timers.push(...(planned.timers ?? []))
  }
  return accept(events, { timers })
}
