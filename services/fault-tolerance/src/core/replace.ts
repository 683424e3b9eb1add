import { accept, type DecideContext, type Decision, type TimerRequest } from '@serverless-ai/kernel'
import { decide } from './decide.ts'
import { evolve } from './evolve.ts'
import { fromJson, toJson } from './json.ts'
import type { FaultCommand, FaultEvent } from './messages.ts'
import type { FaultState } from './model.ts'

/**
 * Takes a whole source anew after a gap: its inputs are decided one after another on a copy, nodes
 * and jobs that the source no longer knows are dropped.
 */
export function replaceSource(
  command: Extract<FaultCommand, { type: 'ReplaceSource' }>,
  state: FaultState,
  context: DecideContext,
): Decision<FaultEvent> {
  const copy = fromJson(structuredClone(toJson(state)))
  const events: FaultEvent[] = []
  const timers: TimerRequest[] = []
  const cancelTimers: string[] = []
  command.commands.forEach((input, index) => {
    // Ids take the first digits of the nonce: each input needs others.
    const nonce = `${index.toString(16).padStart(6, '0')}${context.nonce.slice(6)}`
    const decision = decide(input, copy, { ...context, nonce })
    if (!decision.accepted) return
    for (const event of decision.events) evolve(copy, event, context.atMs)
    events.push(...decision.events)
    timers.push(...(decision.timers ?? []))
    cancelTimers.push(...(decision.cancelTimers ?? []))
  })
  if (command.source === 'pool-manager') events.push(...forgottenNodes(command, copy))
  if (command.source === 'scheduler') events.push(...endedJobs(command, copy))
  return accept(events, { timers, cancelTimers })
}

function forgottenNodes(
  command: Extract<FaultCommand, { type: 'ReplaceSource' }>,
  state: FaultState,
): FaultEvent[] {
  const told = new Set(
    command.commands.flatMap((input) => (input.type === 'NoteNode' ? [input.nodeId] : [])),
  )
  return [...state.nodes.keys()]
    .filter((nodeId) => !told.has(nodeId))
    .map((nodeId) => ({ type: 'NodeForgotten', nodeId }))
}

function endedJobs(
  command: Extract<FaultCommand, { type: 'ReplaceSource' }>,
  state: FaultState,
): FaultEvent[] {
  const told = new Set(
    command.commands.flatMap((input) => (input.type === 'NoteJobState' ? [input.jobId] : [])),
  )
  return [...state.jobs.values()]
    .filter((job) => !job.ended && !told.has(job.jobId) && job.gangs.size > 0)
    .map((job) => ({ type: 'JobEnded', jobId: job.jobId }))
}
