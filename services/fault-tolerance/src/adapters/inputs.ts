import { JobSubmitted, ServiceDeclared } from '@serverless-ai/contracts/events/v1/mediator'
import {
  NodeChanged,
  NodeLost,
  TaskExited,
  TaskReadinessChanged,
  TaskReported,
  TaskStarted,
} from '@serverless-ai/contracts/events/v1/pool_manager'
import {
  CheckpointRequested,
  GangPlaced,
  GangReleased,
  JobStateChanged,
} from '@serverless-ai/contracts/events/v1/scheduler'
import { EVENTS, exitCauseName } from '@serverless-ai/contracts/names'
import { Node_State } from '@serverless-ai/contracts/pool/v1/pool'
import { type InputSource, type PublicEvent, replacingSource } from '@serverless-ai/runtime'
import type { FaultCommand, FaultInput } from '../core/messages.ts'
import type { NodeView, TaskEnd } from '../core/model.ts'

/**
 * Public events of the other services → commands of this core. Throws on what cannot be decoded:
 * the runtime parks it.
 */

function endFromProto(event: TaskExited): TaskEnd {
  const exit = event.exit
  if (exit === undefined) throw new Error(`TaskExited of ${event.jobId} without exit`)
  return {
    rank: event.rank,
    nodeId: event.nodeId,
    cause: exitCauseName(exit.cause) ?? 'EXITED',
    exitCode: exit.exitCode,
    signal: exit.signal,
    message: exit.message,
    atMs: Number(exit.atMs),
  }
}

function nodeFromProto(event: NodeChanged): FaultInput {
  const node = event.node
  if (node === undefined) throw new Error('NodeChanged without node')
  const state: NodeView['state'] =
    node.state === Node_State.READY
      ? 'Ready'
      : node.state === Node_State.LOST
        ? 'Lost'
        : 'Disconnected'
  return { type: 'NoteNode', nodeId: node.nodeId, node: { state, session: node.supervisorSession } }
}

/** Fields of a report line that matter here. */
type ReportLine = {
  step?: unknown
  path?: unknown
  bytes?: unknown
  digest?: unknown
  notice?: unknown
}

const wholeNumber = (value: unknown): number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0

function reportFromProto(event: TaskReported): FaultInput | undefined {
  if (event.kind !== 'checkpoint' && event.kind !== 'progress') return undefined
  const line: ReportLine = JSON.parse(event.json)
  const { jobId, gang, generation } = event
  const step = wholeNumber(line.step)
  if (event.kind === 'progress') return { type: 'NoteProgress', jobId, gang, generation, step }
  if (typeof line.path !== 'string' || line.path === '') {
    throw new Error(`checkpoint line ${event.line} of ${jobId} rank ${event.rank} has no path`)
  }
  const digest = typeof line.digest === 'string' ? line.digest : ''
  const checkpoint = { step, path: line.path, bytes: wholeNumber(line.bytes), digest }
  const notice = typeof line.notice === 'string' ? line.notice : ''
  return { type: 'RegisterCheckpoint', jobId, gang, generation, checkpoint, notice }
}

function fromPool(event: PublicEvent): FaultInput | undefined {
  switch (event.type) {
    case `${EVENTS}NodeChanged`:
      return nodeFromProto(NodeChanged.decode(event.payload))
    case `${EVENTS}NodeLost`: {
      const { nodeId } = NodeLost.decode(event.payload)
      return { type: 'NoteNode', nodeId, node: { state: 'Lost', session: '' } }
    }
    case `${EVENTS}TaskStarted`: {
      const { jobId, gang, generation, rank } = TaskStarted.decode(event.payload)
      return { type: 'NoteStarted', jobId, gang, generation, rank }
    }
    case `${EVENTS}TaskExited`: {
      const exited = TaskExited.decode(event.payload)
      const { jobId, gang, generation } = exited
      return { type: 'NoteEnded', jobId, gang, generation, end: endFromProto(exited) }
    }
    case `${EVENTS}TaskReadinessChanged`: {
      const seen = TaskReadinessChanged.decode(event.payload)
      const { jobId, gang, generation, rank, ready, cause } = seen
      if (rank !== 0) return undefined
      return { type: 'NoteReadiness', jobId, gang, generation, ready, cause }
    }
    case `${EVENTS}TaskReported`:
      return reportFromProto(TaskReported.decode(event.payload))
    default:
      return undefined
  }
}

function fromScheduler(event: PublicEvent): FaultInput | undefined {
  switch (event.type) {
    case `${EVENTS}GangPlaced`: {
      const placed = GangPlaced.decode(event.payload)
      const nodeOfRank = placed.nodeOfRank.map((index) => placed.nodes[index] ?? '')
      const { jobId, gang, generation, tenant } = placed
      return { type: 'NotePlaced', jobId, gang, generation, tenant, nodeOfRank }
    }
    case `${EVENTS}GangReleased`: {
      const { jobId, gang, throughGeneration, cause } = GangReleased.decode(event.payload)
      return { type: 'NoteReleased', jobId, gang, through: throughGeneration, cause }
    }
    case `${EVENTS}CheckpointRequested`: {
      const asked = CheckpointRequested.decode(event.payload)
      const { jobId, gang, generation, noticeId: id, cause } = asked
      const notice = { id, deadlineMs: Number(asked.deadlineMs), cause }
      return { type: 'NoteNotice', jobId, gang, generation, notice }
    }
    case `${EVENTS}JobStateChanged`: {
      const { jobId, state } = JobStateChanged.decode(event.payload)
      return { type: 'NoteJobState', jobId, state }
    }
    default:
      return undefined
  }
}

function fromMediator(event: PublicEvent): FaultInput | undefined {
  if (event.type === `${EVENTS}ServiceDeclared`) {
    const { jobId, startupDeadlineMs } = ServiceDeclared.decode(event.payload)
    return { type: 'DescribeService', jobId, startupDeadlineMs: Number(startupDeadlineMs) }
  }
  if (event.type !== `${EVENTS}JobSubmitted`) return undefined
  const job = JobSubmitted.decode(event.payload)
  return {
    type: 'DescribeJob',
    jobId: job.jobId,
    tenant: job.tenant,
    name: job.name,
    ...(job.kind === 'Inference' ? { startupDeadlineMs: Number(job.startupDeadlineMs) } : {}),
    retry: {
      restartsMax: job.restartsMax,
      userRestartsMax: job.userRestartsMax,
      backoffMs: Number(job.backoffMs),
    },
  }
}

/** What fault tolerance listens to. */
export const inputs: readonly InputSource<FaultCommand>[] = [
  replacingSource('mediator', fromMediator),
  replacingSource('scheduler', fromScheduler),
  replacingSource('pool-manager', fromPool),
]
