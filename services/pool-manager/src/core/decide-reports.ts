import { accept, type DecideContext, type Decision, refuse } from '@serverless-ai/kernel'
import { freedEvents, noMore, platformExit } from './decide-nodes.ts'
import type { AssumeSessionEmpty, PoolEvent, ReportExecutions } from './messages.ts'
import {
  compareKeys,
  type Execution,
  executionKey,
  hasEnded,
  keyOf,
  type PoolNode,
  type ReportedExecution,
  type ReportedLine,
  SERVING_LEVEL,
  type TaskExit,
} from './model.ts'
import { linesToEvents } from './report-lines.ts'
import { executionsOn, findExecution, isCurrent, type PoolState } from './state.ts'

/** What a report means, sorted into the order in which it is recorded. */
interface Findings {
  readonly started: PoolEvent[]
  readonly readiness: PoolEvent[]
  readonly exited: PoolEvent[]
  readonly freed: Execution[]
}

const nothingFound = (): Findings => ({ started: [], readiness: [], exited: [], freed: [] })

/**
 * Works a report in. The session fences older supervisors, the number drops copies. An execution is
 * free when it was reported as ended, or when the agent applied a desired set without it and does
 * not hold it.
 */
export function reportExecutions(
  command: ReportExecutions,
  state: PoolState,
  context: DecideContext,
): Decision<PoolEvent> {
  const { nodeId, number } = command
  const node = state.nodes.get(nodeId)
  if (node === undefined) return refuse('NODE_NOT_FOUND', { nodeId })
  if (node.supervisorSession !== command.supervisorSession) return staleSession(node)
  if (number <= node.lastReport) return accept([])
  const reported = new Map(command.executions.map((each) => [executionKey(each.key), each]))
  const found = nothingFound()
  const level = context.featureLevel ?? 1
  for (const execution of [...executionsOn(state, nodeId)].sort(compareKeys)) {
    const report = reported.get(executionKey(execution))
    if (execution.session !== node.supervisorSession) {
      olderSession(execution, report, found, node, context.atMs)
    } else if (report === undefined) {
      notHeld(execution, command.appliedRevision, found)
    } else {
      held(execution, report, found)
      if (level >= SERVING_LEVEL) noteReadiness(execution, report, found)
    }
  }
  return accept([
    ...found.started,
    ...found.readiness,
    ...linesToEvents(command.lines, (line) => lastLineOf(line, node, state)),
    ...found.exited,
    ...freedEvents(found.freed),
    { type: 'ReportTaken', nodeId, number },
  ])
}

/** Executions of older sessions are dead when the new supervisor says nothing about them. */
export function assumeSessionEmpty(
  command: AssumeSessionEmpty,
  state: PoolState,
  context: DecideContext,
): Decision<PoolEvent> {
  const node = state.nodes.get(command.nodeId)
  if (node === undefined) return refuse('NODE_NOT_FOUND', { nodeId: command.nodeId })
  if (node.supervisorSession !== command.supervisorSession) return staleSession(node)
  const found = nothingFound()
  for (const execution of [...executionsOn(state, node.nodeId)].sort(compareKeys)) {
    if (execution.session === node.supervisorSession) continue
    olderSession(execution, undefined, found, node, context.atMs)
  }
  return accept([...found.readiness, ...found.exited, ...freedEvents(found.freed)])
}

function staleSession(node: PoolNode): Decision<PoolEvent> {
  return refuse('STALE_SESSION', { nodeId: node.nodeId, session: node.supervisorSession })
}

/**
 * All processes of an older session are gone: how they ended is what the new session found out.
 * While it still lists one without its end (its report lines come first) the end is waited for.
 */
function olderSession(
  execution: Execution,
  report: ReportedExecution | undefined,
  found: Findings,
  node: PoolNode,
  atMs: number,
): void {
  if (report !== undefined && report.state !== 'EXITED') return
  if (!hasEnded(execution)) {
    const message = `the supervisor of node ${node.nodeId} ended, and the task with it`
    const exit = report?.exit ?? platformExit('SUPERVISOR_LOST', message, atMs)
    if (report !== undefined) noteStart(execution, report, found)
    found.readiness.push(...noMore(execution, exit.message, atMs))
    found.exited.push({ type: 'TaskExited', key: keyOf(execution), exit })
  }
  found.freed.push(execution)
}

function notHeld(execution: Execution, appliedRevision: number, found: Findings): void {
  const { at } = execution.phase
  if (at !== 'Stopping' && at !== 'Exited') return
  if (appliedRevision >= execution.removedRevision) found.freed.push(execution)
}

function held(execution: Execution, report: ReportedExecution, found: Findings): void {
  noteStart(execution, report, found)
  if (report.state !== 'EXITED') return
  if (!hasEnded(execution)) {
    const exit = report.exit ?? unknownExit()
    found.exited.push({ type: 'TaskExited', key: keyOf(execution), exit })
  }
  found.freed.push(execution)
}

/** The first finding, and changes of it. What has ended is not ready. */
function noteReadiness(execution: Execution, report: ReportedExecution, found: Findings): void {
  if (hasEnded(execution)) return
  const { readiness: said } = report
  const before = execution.readiness
  if (report.state === 'EXITED') {
    const { message = '', atMs = 0 } = report.exit ?? {}
    found.readiness.push(...noMore(execution, message, atMs))
    return
  }
  const { at } = execution.phase
  const runs = at === 'Running' || (at === 'Assigned' && report.startedMs > 0)
  if (said === undefined || !runs) return
  if (before?.ready === said.ready && before.cause === said.cause) return
  found.readiness.push({ type: 'TaskReadinessObserved', key: keyOf(execution), readiness: said })
}

function noteStart(execution: Execution, report: ReportedExecution, found: Findings): void {
  const { startedMs } = report
  if (execution.phase.at !== 'Assigned' || startedMs <= 0) return
  found.started.push({ type: 'TaskStarted', key: keyOf(execution), startedMs })
}

/** An end without a cause: nothing can be said about it, so it counts as an unexplained end. */
function unknownExit(): TaskExit {
  const message = 'the node did not say how it ended'
  return { cause: 'EXITED', exitCode: -1, signal: '', message, atMs: 0 }
}

/** Undefined when lines of this execution are not taken (any more). */
function lastLineOf(line: ReportedLine, node: PoolNode, state: PoolState): number | undefined {
  const execution = findExecution(state, line.key)
  if (execution === undefined || execution.nodeId !== node.nodeId) return undefined
  if (!isCurrent(state, execution)) return undefined
  const { phase } = execution
  if (phase.at === 'Exited' || phase.at === 'Freed') {
    if (phase.exit?.cause === 'NODE_LOST') return undefined
  }
  return execution.lastLine
}
