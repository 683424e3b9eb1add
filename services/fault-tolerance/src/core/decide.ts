import {
  accept,
  type DecideContext,
  type Decision,
  type TimerRequest,
  unreachable,
} from '@serverless-ai/kernel'
import type { FaultCommand, FaultEvent, FaultInput } from './messages.ts'
import {
  type FaultState,
  type GangState,
  type Incident,
  type JobState,
  newService,
  type TaskEnd,
} from './model.ts'
import { decideIncident, EVIDENCE_WINDOW_MS, judgeTimer, NODE_SETTLE_MS } from './recover.ts'
import {
  describeService,
  endNotice,
  neverReady,
  noteNotice,
  noteReadiness,
  serves,
  startupTimer,
  startupTimers,
} from './serving.ts'
import { evidenceOf, isFailure } from './verdict.ts'

const ENDED_STATES: ReadonlySet<string> = new Set(['Succeeded', 'Failed', 'Cancelled'])

const nothing = (): Decision<FaultEvent> => accept<FaultEvent>([])

/**
 * Decides one command. Inputs may come in any order and more than once: what is known already
 * changes nothing.
 */
export function decide(
  command: FaultInput,
  state: FaultState,
  context: DecideContext,
): Decision<FaultEvent> {
  switch (command.type) {
    case 'DescribeJob':
      return describeJob(command, state, context)
    case 'DescribeService':
      return describeService(command, state, context)
    case 'NotePlaced':
      return notePlaced(command, state)
    case 'NoteReleased':
      return noteReleased(command, state, context)
    case 'NoteJobState':
      return noteJobState(command, state, context)
    case 'NoteNode':
      return noteNode(command, state, context)
    case 'NoteStarted':
      return noteStarted(command, state, context)
    case 'NoteEnded':
      return noteEnded(command, state, context)
    case 'NoteProgress':
      return noteProgress(command, state)
    case 'RegisterCheckpoint':
      return registerCheckpoint(command, state, context)
    case 'NoteReadiness':
      return noteReadiness(command, state, context)
    case 'NoteNeverReady': {
      const end = neverReady(command, state)
      return end === undefined
        ? nothing()
        : noteEnded({ ...command, type: 'NoteEnded', end }, state, context)
    }
    case 'NoteNotice':
      return noteNotice(command, state, context)
    case 'EndNotice':
      return endNotice(command, state, true)
    case 'Judge':
      return judgeIncident(command, state, context)
    case 'SettleEffect':
      return accept<FaultEvent>([], { settles: [command.key] })
    default:
      return unreachable(command)
  }
}

type CommandOf<T extends FaultCommand['type']> = Extract<FaultCommand, { type: T }>
type Ref = { readonly jobId: string; readonly gang: number }

function gangIn(state: FaultState, ref: Ref): GangState | undefined {
  return state.jobs.get(ref.jobId)?.gangs.get(ref.gang)
}

/** True when something of this generation no longer matters. */
function isOld(gang: GangState | undefined, generation: number): boolean {
  if (gang === undefined) return false
  return generation < gang.generation || generation <= gang.releasedThrough
}

function openIncident(state: FaultState, gang: GangState | undefined): Incident | undefined {
  return gang?.openIncident === undefined ? undefined : state.incidents.get(gang.openIncident)
}

const dropped = (incident: Incident, atMs: number, reason: string): FaultEvent => ({
  type: 'IncidentMoved',
  incidentId: incident.incidentId,
  progress: { at: 'Dropped', droppedMs: atMs, reason },
})

function describeJob(
  command: CommandOf<'DescribeJob'>,
  state: FaultState,
  context: DecideContext,
): Decision<FaultEvent> {
  const job = state.jobs.get(command.jobId)
  if (job?.described === true) return nothing()
  const { jobId, tenant, name, retry, startupDeadlineMs } = command
  const described = { type: 'JobDescribed', jobId, tenant, name, retry } as const
  if (startupDeadlineMs === undefined || !serves(context)) return accept<FaultEvent>([described])
  // Replicas may have started before: topics have no order between each other.
  const service = newService(startupDeadlineMs)
  const timers = job === undefined ? [] : startupTimers({ ...job, service }, context.atMs)
  return accept<FaultEvent>([{ ...described, startupDeadlineMs }], { timers })
}

function notePlaced(command: CommandOf<'NotePlaced'>, state: FaultState): Decision<FaultEvent> {
  const { jobId, gang: number, generation, nodeOfRank, tenant } = command
  const gang = gangIn(state, command)
  if (isOld(gang, generation)) return nothing()
  if (gang?.generation === generation && gang.nodeOfRank.length > 0) return nothing()
  return accept<FaultEvent>([
    { type: 'GenerationPlaced', jobId, gang: number, generation, nodeOfRank, tenant },
  ])
}

function noteReleased(
  command: CommandOf<'NoteReleased'>,
  state: FaultState,
  context: DecideContext,
): Decision<FaultEvent> {
  const gang = gangIn(state, command)
  if (gang !== undefined && gang.releasedThrough >= command.through) return nothing()
  const { jobId, gang: number, through } = command
  const over = command.cause === 'DRAINED' ? { over: true as const } : {}
  const events: FaultEvent[] = [
    { type: 'GenerationsReleased', jobId, gang: number, through, ...over },
  ]
  const open = openIncident(state, gang)
  if (open?.progress.at === 'Gathering' && open.generation <= through) {
    events.push(dropped(open, context.atMs, `released: ${command.cause}`))
    return accept(events, { cancelTimers: [judgeTimer(open.incidentId)] })
  }
  return accept(events)
}

function noteJobState(
  command: CommandOf<'NoteJobState'>,
  state: FaultState,
  context: DecideContext,
): Decision<FaultEvent> {
  const job = state.jobs.get(command.jobId)
  if (!ENDED_STATES.has(command.state) || job?.ended === true) return nothing()
  const events: FaultEvent[] = []
  const cancelTimers: string[] = []
  for (const gang of job?.gangs.values() ?? []) {
    const open = openIncident(state, gang)
    if (open === undefined || open.progress.at !== 'Gathering') continue
    events.push(dropped(open, context.atMs, `job ${command.state}`))
    cancelTimers.push(judgeTimer(open.incidentId))
  }
  events.push({ type: 'JobEnded', jobId: command.jobId })
  return accept(events, { cancelTimers })
}

function noteNode(
  command: CommandOf<'NoteNode'>,
  state: FaultState,
  context: DecideContext,
): Decision<FaultEvent> {
  const { nodeId, node } = command
  const known = state.nodes.get(nodeId)
  if (known?.state === node.state && known.session === node.session) return nothing()
  const timers: TimerRequest[] = []
  if (node.state !== 'Disconnected') {
    for (const incident of state.incidents.values()) {
      if (incident.progress.at !== 'Gathering') continue
      const gang = gangIn(state, incident)
      if (gang === undefined || !gang.nodeOfRank.includes(nodeId)) continue
      const windowEnd = incident.detectedMs + EVIDENCE_WINDOW_MS
      const dueMs = Math.max(windowEnd, context.atMs + NODE_SETTLE_MS)
      timers.push({ key: judgeTimer(incident.incidentId), dueMs })
    }
  }
  return accept<FaultEvent>([{ type: 'NodeNoted', nodeId, node }], { timers })
}

function noteProgress(command: CommandOf<'NoteProgress'>, state: FaultState): Decision<FaultEvent> {
  const { jobId, gang: number, generation, step } = command
  const gang = gangIn(state, command)
  if (isOld(gang, generation)) return nothing()
  if (gang?.generation === generation && gang.progressStep >= step) return nothing()
  return accept<FaultEvent>([{ type: 'ProgressNoted', jobId, gang: number, generation, step }])
}

function noteStarted(
  command: CommandOf<'NoteStarted'>,
  state: FaultState,
  context: DecideContext,
): Decision<FaultEvent> {
  const gang = gangIn(state, command)
  if (isOld(gang, command.generation)) return nothing()
  const same = gang !== undefined && gang.generation === command.generation
  if (same && gang.started.has(command.rank)) return nothing()
  const { jobId, gang: number, generation, rank } = command
  const events: FaultEvent[] = [{ type: 'TaskStartNoted', jobId, gang: number, generation, rank }]
  const open = openIncident(state, gang)
  const started = (same ? gang.started.size : 0) + 1
  const all = same && gang.nodeOfRank.length > 0 && started === gang.nodeOfRank.length
  if (all && open?.progress.at === 'Decided' && open.generation < generation) {
    const progress = { ...open.progress, recoveredMs: context.atMs }
    events.push({ type: 'IncidentMoved', incidentId: open.incidentId, progress })
  }
  const job = state.jobs.get(jobId)
  const timers = rank === 0 ? startupTimer(job, command, context.atMs) : []
  return accept(events, { timers })
}

function noteEnded(
  command: CommandOf<'NoteEnded'>,
  state: FaultState,
  context: DecideContext,
): Decision<FaultEvent> {
  const job = state.jobs.get(command.jobId)
  const gang = gangIn(state, command)
  if (job?.ended === true || isOld(gang, command.generation)) return nothing()
  const same = gang !== undefined && gang.generation === command.generation
  if (same && gang.ends.has(command.end.rank)) return nothing()
  const { jobId, gang: number, generation, end } = command
  const noted: FaultEvent = { type: 'TaskEndNoted', jobId, gang: number, generation, end }
  if (!isFailure(end, job?.service !== undefined)) return accept<FaultEvent>([noted])
  const open = openIncident(state, gang)
  if (open !== undefined && open.generation === generation) {
    const lines = [evidenceOf(end)]
    return accept<FaultEvent>([
      noted,
      { type: 'EvidenceAdded', incidentId: open.incidentId, lines },
    ])
  }
  const incident = newIncident({ job, ref: command, end, context })
  const dueMs = context.atMs + EVIDENCE_WINDOW_MS
  return accept<FaultEvent>([noted, { type: 'IncidentOpened', incident }], {
    timers: [{ key: judgeTimer(incident.incidentId), dueMs }],
  })
}

function judgeIncident(
  command: CommandOf<'Judge'>,
  state: FaultState,
  context: DecideContext,
): Decision<FaultEvent> {
  const incident = state.incidents.get(command.incidentId)
  if (incident === undefined || incident.progress.at !== 'Gathering') return nothing()
  const { events, ...more } = decideIncident(state, incident, context.atMs)
  return accept(events, more)
}

function newIncident(init: {
  job: JobState | undefined
  ref: Ref & { readonly generation: number }
  end: TaskEnd
  context: DecideContext
}): Incident {
  const { job, ref, end, context } = init
  const cell = ref.jobId.split('-')[1] ?? '0'
  return {
    incidentId: `i-${cell}-${context.nonce.slice(0, 12)}`,
    jobId: ref.jobId,
    tenant: job?.tenant ?? '',
    gang: ref.gang,
    generation: ref.generation,
    occurredMs: end.atMs > 0 ? Math.min(end.atMs, context.atMs) : context.atMs,
    detectedMs: context.atMs,
    evidence: [evidenceOf(end)],
    progress: { at: 'Gathering' },
  }
}

function registerCheckpoint(
  command: CommandOf<'RegisterCheckpoint'>,
  state: FaultState,
  context: DecideContext,
): Decision<FaultEvent> {
  const gang = gangIn(state, command)
  // Fence: a checkpoint of an older generation is nobody's latest.
  if (isOld(gang, command.generation)) return nothing()
  const latest = gang?.checkpoints[0]
  const asked = gang?.notice !== undefined && command.notice === gang.notice.id
  const { jobId, gang: number, generation } = command
  if (latest !== undefined && command.checkpoint.step <= latest.step) {
    // It had just written one, and did no step since.
    return asked ? endNotice(command, state, false) : nothing()
  }
  const checkpoint = { ...command.checkpoint, generation, registeredMs: context.atMs }
  const registered = { type: 'CheckpointRegistered', jobId, gang: number, checkpoint } as const
  if (!asked || gang === undefined) return accept<FaultEvent>([registered])
  return resumeFrom(registered, state, command)
}

/** The checkpoint that was asked for: the next generation goes on from it, no step is lost. */
function resumeFrom(
  registered: Extract<FaultEvent, { type: 'CheckpointRegistered' }>,
  state: FaultState,
  of: CommandOf<'RegisterCheckpoint'>,
): Decision<FaultEvent> {
  const job = state.jobs.get(of.jobId)
  const gang = gangIn(state, of)
  if (job === undefined || gang === undefined) return accept<FaultEvent>([registered])
  const after = { ...gang, checkpoints: [registered.checkpoint, ...gang.checkpoints] }
  const jobs = new Map([[of.jobId, { ...job, gangs: new Map([[of.gang, after]]) }]])
  const decision = endNotice(of, { ...state, jobs }, false)
  return decision.accepted ? { ...decision, events: [registered, ...decision.events] } : decision
}
