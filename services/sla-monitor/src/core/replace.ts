import { accept, type DecideContext, type Decision, type TimerRequest } from '@serverless-ai/kernel'
import { decide } from './decide.ts'
import { evolve } from './evolve.ts'
import { replacedJob } from './jobs.ts'
import { fromJson, toJson } from './json.ts'
import type { SlaCommand, SlaEvent } from './messages.ts'
import type { SlaState } from './model.ts'

type Replace = Extract<SlaCommand, { type: 'ReplaceSource' }>

/**
 * Takes a whole source anew after a gap. Services that the mediator no longer tells are forgotten;
 * tracked jobs are judged by what the scheduler tells now, and jobs that wait are tracked.
 */
export function replaceSource(
  command: Replace,
  state: SlaState,
  context: DecideContext,
): Decision<SlaEvent> {
  const copy = fromJson(structuredClone(toJson(state)))
  const events: SlaEvent[] = []
  const timers: TimerRequest[] = []
  const cancelTimers: string[] = []
  const take = (decision: Decision<SlaEvent>): void => {
    if (!decision.accepted) return
    for (const event of decision.events) evolve(copy, event, context.atMs)
    events.push(...decision.events)
    timers.push(...(decision.timers ?? []))
    cancelTimers.push(...(decision.cancelTimers ?? []))
  }
  if (command.source === 'scheduler') {
    const told = new Map(
      command.commands.flatMap((one) =>
        one.type === 'NoteJob' ? [[one.job.jobId, one.job] as const] : [],
      ),
    )
    for (const job of [...copy.jobs.values()]) {
      take(replacedJob(job, told.get(job.jobId), copy, context))
      told.delete(job.jobId)
    }
    // Of those that still wait it is known when they were submitted.
    for (const job of told.values()) take(decide({ type: 'NoteJob', job }, copy, context))
    return accept(events, { timers, cancelTimers })
  }
  for (const input of command.commands) take(decide(input, copy, context))
  const named = new Set(
    command.commands.flatMap((one) => (one.type === 'NameService' ? [one.jobId] : [])),
  )
  for (const jobId of [...copy.names.keys()]) {
    if (!named.has(jobId)) take(decide({ type: 'ForgetService', jobId }, copy, context))
  }
  return accept(events, { timers, cancelTimers })
}
