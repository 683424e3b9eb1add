import { invariant, unreachable } from '@serverless-ai/kernel'
import { comeUnder, endAction, holdAction, setActions } from './actions.ts'
import { DECISIONS_KEPT, ENDED_KEPT, REFUSED_MS, RESTARTS_WEIGHT, STORY_KEPT } from './limits.ts'
import type { AutoscalerEvent, JobFact, ResizeOutcome } from './messages.ts'
import { type AutoscalerState, holdingKey, newTarget, type Target } from './model.ts'
import { outlookOf, signatureOf } from './step.ts'
import { storyOf } from './story.ts'

type EventOf<T extends AutoscalerEvent['type']> = Extract<AutoscalerEvent, { type: T }>

/** Start-ups between two steps. */
const STARTUPS_KEPT = 32

function targetOf(state: AutoscalerState, jobId: string): Target {
  const found = state.targets.get(jobId)
  invariant(found !== undefined, `an event of the unknown target ${jobId}`)
  return found
}

function begun(state: AutoscalerState, jobId: string): Target {
  const found = state.targets.get(jobId)
  if (found !== undefined) return found
  const target = newTarget(jobId)
  state.targets.set(jobId, target)
  return target
}

/** A change of a training job's size is over when its next generation runs. */
function endResizing(target: Target, job: JobFact, atMs: number): void {
  const { resizing, restartMs } = target
  const { scale } = job
  if (resizing === undefined || scale === undefined) return
  const runs = job.state === 'Running' && scale.granted > 0 && scale.ready === scale.granted
  if (!runs || job.generation <= resizing.generation) return
  const tookMs = Math.max(0, atMs - resizing.sinceMs)
  const next = restartMs === 0 ? tookMs : restartMs + RESTARTS_WEIGHT * (tookMs - restartMs)
  target.restartMs = Math.round(next)
  target.resizing = undefined
}

function noteJob(state: AutoscalerState, { job, first }: EventOf<'JobNoted'>, atMs: number): void {
  const target = begun(state, job.jobId)
  const { tenant, name, queue, scale } = job
  endResizing(target, job, atMs)
  target.tenant = tenant
  target.name = name
  target.queue = queue
  target.jobState = job.state
  target.waiting = job.waiting
  // An answer of the scheduler may have told more than this event knows.
  if (scale !== undefined && scale.version >= (target.scale?.version ?? 0)) {
    if (scale.unit === 'replicas') noteStartups(target, scale.ready, atMs)
    target.scale = scale
  }
  if (first) comeUnder(state, target)
  state.jobQueues.delete(job.jobId)
  state.waiting.delete(job.jobId)
  if (scale?.unit !== 'tasks' || target.taskDevices > 0) return
  // What it holds may have been told before the job itself.
  for (const holding of state.holdings.values()) {
    if (holding.jobId === job.jobId) target.taskDevices = holding.devicesEach
  }
}

function noteOther(state: AutoscalerState, event: EventOf<'OtherJobNoted'>): void {
  const { jobId, queue, waits } = event
  if (queue === '') state.jobQueues.delete(jobId)
  else state.jobQueues.set(jobId, queue)
  if (waits) state.waiting.add(jobId)
  else state.waiting.delete(jobId)
}

function hold(state: AutoscalerState, { holding }: EventOf<'GangHeld'>, atMs: number): void {
  const { jobId, gang, devicesEach } = holding
  state.holdings.set(holdingKey(holding), holding)
  const target = state.targets.get(jobId)
  if (target?.scale?.unit === 'tasks') target.taskDevices = devicesEach
  else if (target !== undefined) {
    const others = target.starting.filter(([of]) => of !== gang)
    target.starting = [...others, [gang, atMs] as const]
  }
}

function release(state: AutoscalerState, { jobId, gang, through }: EventOf<'GangOver'>): void {
  const key = holdingKey({ jobId, gang })
  if ((state.holdings.get(key)?.generation ?? through + 1) <= through) state.holdings.delete(key)
  const target = state.targets.get(jobId)
  if (target !== undefined) target.starting = target.starting.filter(([of]) => of !== gang)
}

/** Replicas that became ready: the oldest of those that start. */
function noteStartups(target: Target, ready: number, atMs: number): void {
  const more = Math.max(0, ready - (target.scale?.ready ?? 0))
  const took = target.starting.slice(0, more).map(([, placedMs]) => Math.max(0, atMs - placedMs))
  target.startupsMs = [...target.startupsMs, ...took].slice(-STARTUPS_KEPT)
  // Those that are ready do not start, whatever was missed.
  target.starting = target.starting.slice(more)
}

function evolveStep(state: AutoscalerState, event: EventOf<'Stepped'>, atMs: number): void {
  const { services, share, shareClockMs } = outlookOf(state, event, atMs)
  for (const { jobId, run, capacity, clockMs, activeMs, busy } of services) {
    const target = targetOf(state, jobId)
    target.run = run
    target.capacity = capacity
    target.clockMs = clockMs
    target.activeMs = activeMs
    target.busy = busy
    target.steppedMs = atMs
    target.startupsMs = []
  }
  state.share = share
  state.shareMs = atMs
  state.shareClockMs = shareClockMs
}

function decided(state: AutoscalerState, { jobId, decision }: EventOf<'ScaleDecided'>): void {
  const target = targetOf(state, jobId)
  const { decisionId, wanted, outcome, atMs, policyWanted, policy } = decision
  state.decisions += 1
  target.decisions = [...target.decisions, decision].slice(-DECISIONS_KEPT)
  const advised = outcome === 'ADVISED'
  const wish = { jobId, wanted, policyWanted, policy, decision }
  target.told = { signature: signatureOf(wish, advised), atMs }
  if (outcome === 'APPLIED') target.pending = { decisionId, wanted }
}

function settled(target: Target, outcome: ResizeOutcome, atMs: number): void {
  target.pending = undefined
  if (outcome.at === 'Taken') {
    const { scale, waiting } = outcome
    if (scale.version >= (target.scale?.version ?? 0)) {
      if (scale.unit === 'replicas') noteStartups(target, scale.ready, atMs)
      target.scale = scale
    }
    target.waiting = waiting
    target.blocked = undefined
    return
  }
  const { code, numbers } = outcome
  switch (code) {
    // The scheduler's event with the newer version, or the owner, is on its way.
    case 'STALE_SCALE':
    case 'SCALE_OWNED':
      target.staleVersion = numbers['current'] ?? numbers['version'] ?? 0
      return
    case 'RESIZE_COOLDOWN':
      target.blocked = { untilMs: numbers['untilMs'] ?? atMs + REFUSED_MS, code: 'COOLDOWN' }
      return
    default:
      target.blocked = { untilMs: atMs + REFUSED_MS, code: 'SCHEDULER_REFUSED' }
  }
}

function evolveTarget(
  state: AutoscalerState,
  event: Exclude<AutoscalerEvent, { type: FleetEvent }>,
  atMs: number,
): void {
  switch (event.type) {
    case 'JobNoted':
      noteJob(state, event, atMs)
      return
    case 'ServiceNoted': {
      const target = begun(state, event.jobId)
      target.tenant = event.tenant
      target.name = event.name
      target.service = event.service
      comeUnder(state, target)
      return
    }
    case 'ResizeBegan': {
      const { generation } = event
      targetOf(state, event.jobId).resizing = { sinceMs: atMs, generation }
      return
    }
    case 'ForecastNoted':
      targetOf(state, event.jobId).forecast = event.forecast
      return
    case 'UrgencyChanged':
      setActions(targetOf(state, event.jobId), event.actionIds)
      return
    case 'Stepped':
      evolveStep(state, event, atMs)
      return
    case 'ScaleDecided':
      decided(state, event)
      return
    case 'ResizeSettled':
      settled(targetOf(state, event.jobId), event.outcome, atMs)
      return
    case 'ModeSet':
      targetOf(state, event.jobId).mode = event.mode
      return
    case 'TargetEnded':
      end(state, event.jobId)
      return
    default:
      unreachable(event)
  }
}

/** What a policy knew is gone, what was decided stays for a while. */
function end(state: AutoscalerState, jobId: string): void {
  const target = state.targets.get(jobId)
  if (target === undefined) return
  state.targets.delete(jobId)
  const over = { ...target, run: undefined, pending: undefined, busy: [], starting: [] }
  state.ended = [...state.ended, over].slice(-ENDED_KEPT)
}

type FleetEvent =
  | 'OtherJobNoted'
  | 'QueueNoted'
  | 'GangHeld'
  | 'GangOver'
  | 'HoldingForgotten'
  | 'NodeNoted'
  | 'NodeForgotten'
  | 'ObjectiveNoted'
  | 'ObjectiveForgotten'
  | 'ActionHeld'
  | 'ActionOver'

function evolveRest(state: AutoscalerState, event: AutoscalerEvent, atMs: number): void {
  switch (event.type) {
    case 'OtherJobNoted':
      noteOther(state, event)
      return
    case 'QueueNoted':
      state.queues.set(event.queue, event.devicesMax)
      return
    case 'GangHeld':
      hold(state, event, atMs)
      return
    case 'GangOver':
      release(state, event)
      return
    case 'HoldingForgotten':
      state.holdings.delete(event.key)
      return
    case 'NodeNoted':
      state.nodes.set(event.nodeId, event.node)
      return
    case 'NodeForgotten':
      state.nodes.delete(event.nodeId)
      return
    case 'ObjectiveNoted':
      state.objectives.set(event.objectiveId, event.objective)
      return
    case 'ObjectiveForgotten':
      state.objectives.delete(event.objectiveId)
      return
    case 'ActionHeld':
      holdAction(state, event.actionId, event.scope)
      return
    case 'ActionOver':
      endAction(state, event.actionId)
      return
    default:
      evolveTarget(state, event, atMs)
  }
}

/** Folds one event. Changes `state` in place. */
export function evolve(
  state: AutoscalerState,
  event: AutoscalerEvent,
  atMs: number,
): AutoscalerState {
  const told = storyOf(event, state, atMs)
  evolveRest(state, event, atMs)
  state.folded += 1
  for (const { jobId, line } of told) {
    const target = state.targets.get(jobId)
    if (target !== undefined) target.story = [...target.story, line].slice(-STORY_KEPT)
  }
  return state
}
