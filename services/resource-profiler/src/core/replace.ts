import { accept, type DecideContext, type Decision, type TimerRequest } from '@serverless-ai/kernel'
import { decide } from './decide.ts'
import { evolve } from './evolve.ts'
import { fromJson, toJson } from './json.ts'
import type { ProfilerCommand, ProfilerEvent, ProfilerInput } from './messages.ts'
import type { ProfilerState } from './model.ts'

type Replace = Extract<ProfilerCommand, { type: 'ReplaceSource' }>

/** Jobs and gangs that the scheduler no longer tells are over. */
function goneOf(told: readonly ProfilerInput[], state: ProfilerState): readonly ProfilerInput[] {
  const jobs = new Set<string>()
  const gangs = new Set<string>()
  for (const one of told) {
    if (one.type === 'NoteJob' && !one.ended) jobs.add(one.jobId)
    if (one.type === 'NotePlaced') gangs.add(`${one.placed.jobId} ${one.placed.gang}`)
  }
  return [...state.jobs.values()].flatMap((job): ProfilerInput[] => {
    const { jobId, tenant, name, queue } = job
    if (job.endedMs > 0) return []
    if (!jobs.has(jobId)) return [{ type: 'NoteJob', jobId, tenant, name, queue, ended: true }]
    return [...job.gangs.values()].flatMap(({ gang, generation: through }): ProfilerInput[] =>
      gangs.has(`${jobId} ${gang}`) ? [] : [{ type: 'NoteReleased', jobId, gang, through }],
    )
  })
}

/** Services that the mediator no longer tells have ended. */
function endedOf(told: readonly ProfilerInput[], state: ProfilerState): readonly ProfilerInput[] {
  const declared = new Set(
    told.flatMap((one) => (one.type === 'DeclareService' ? [one.jobId] : [])),
  )
  return [...state.services.keys()]
    .filter((jobId) => !declared.has(jobId))
    .map((jobId) => ({ type: 'EndService', jobId }) as const)
}

/** Takes a whole source anew after a gap. */
export function replaceSource(
  { source, commands }: Replace,
  state: ProfilerState,
  context: DecideContext,
): Decision<ProfilerEvent> {
  const copy = fromJson(structuredClone(toJson(state)))
  const events: ProfilerEvent[] = []
  const timers: TimerRequest[] = []
  const cancelTimers: string[] = []
  const take = (input: ProfilerInput): void => {
    const decision = decide(input, copy, context)
    if (!decision.accepted) return
    for (const event of decision.events) evolve(copy, event, context.atMs)
    events.push(...decision.events)
    timers.push(...(decision.timers ?? []))
    cancelTimers.push(...(decision.cancelTimers ?? []))
  }
  for (const input of commands) take(input)
  if (source === 'scheduler') for (const input of goneOf(commands, copy)) take(input)
  if (source === 'mediator') for (const input of endedOf(commands, copy)) take(input)
  // A timer that was set and cancelled in one go is not set.
  const set = timers.filter(({ key }) => !cancelTimers.includes(key))
  return accept(events, { timers: set, cancelTimers })
}
