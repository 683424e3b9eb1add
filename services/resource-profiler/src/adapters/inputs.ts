import { ServiceDeclared, ServiceEnded } from '@serverless-ai/contracts/events/v1/mediator'
import {
  TaskReadinessChanged,
  TaskReported,
  TaskStarted,
} from '@serverless-ai/contracts/events/v1/pool_manager'
import {
  GangPlaced,
  GangReleased,
  JobStateChanged,
} from '@serverless-ai/contracts/events/v1/scheduler'
import { EVENTS } from '@serverless-ai/contracts/names'
import { type InputSource, type PublicEvent, replacingSource } from '@serverless-ai/runtime'
import type { ProfilerCommand, ProfilerInput } from '../core/messages.ts'

const ENDED: ReadonlySet<string> = new Set(['Succeeded', 'Failed', 'Cancelled'])

function fromScheduler({ type, payload }: PublicEvent): ProfilerInput | undefined {
  switch (type) {
    case `${EVENTS}JobStateChanged`: {
      const { jobId, tenant, name, queue, state } = JobStateChanged.decode(payload)
      return { type: 'NoteJob', jobId, tenant, name, queue, ended: ENDED.has(state) }
    }
    case `${EVENTS}GangPlaced`: {
      const placed = GangPlaced.decode(payload)
      const { jobId, tenant, gang, generation, nodes, nodeOfRank, deviceIndexes } = placed
      const { devices = 0, cpuMillis = 0n, memoryMib = 0n } = placed.perTask ?? {}
      return {
        type: 'NotePlaced',
        placed: {
          jobId,
          tenant,
          gang,
          generation,
          nodeOfRank: nodeOfRank.map((index) => nodes[index] ?? ''),
          devices: deviceIndexes,
          perTask: { devices, cpuMillis: Number(cpuMillis), memoryMib: Number(memoryMib) },
        },
      }
    }
    case `${EVENTS}GangReleased`: {
      const { jobId, gang, throughGeneration: through } = GangReleased.decode(payload)
      return { type: 'NoteReleased', jobId, gang, through }
    }
    default:
      return undefined
  }
}

const wholeNumber = (value: unknown): number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : -1

/** A task writes what it likes: what is no progress and no checkpoint is left out. */
function fromReport(event: TaskReported): ProfilerInput | undefined {
  if (event.kind !== 'progress' && event.kind !== 'checkpoint') return undefined
  const line: unknown = JSON.parse(event.json)
  if (typeof line !== 'object' || line === null) return undefined
  const fields = new Map(Object.entries(line))
  const step = wholeNumber(fields.get('step'))
  if (step < 0) return undefined
  const { jobId, gang, generation, rank } = event
  const key = { jobId, gang, generation }
  if (event.kind === 'checkpoint') {
    const bytes = Math.max(0, wholeNumber(fields.get('bytes')))
    return { type: 'NoteCheckpoint', key, step, bytes }
  }
  const atMs = Math.max(0, wholeNumber(fields.get('atMs')))
  return { type: 'NoteStep', key, rank, step, atMs }
}

function fromPool({ type, payload }: PublicEvent): ProfilerInput | undefined {
  switch (type) {
    case `${EVENTS}TaskStarted`: {
      const { jobId, gang, generation, rank, startedMs } = TaskStarted.decode(payload)
      const key = { jobId, gang, generation }
      return { type: 'NoteStarted', key, rank, startedMs: Number(startedMs) }
    }
    case `${EVENTS}TaskReadinessChanged`: {
      const seen = TaskReadinessChanged.decode(payload)
      const { jobId, gang, generation, rank, ready, atMs } = seen
      if (rank !== 0 || !ready) return undefined
      return { type: 'NoteReady', key: { jobId, gang, generation }, atMs: Number(atMs) }
    }
    case `${EVENTS}TaskReported`:
      return fromReport(TaskReported.decode(payload))
    default:
      return undefined
  }
}

function fromMediator({ type, payload }: PublicEvent): ProfilerInput | undefined {
  switch (type) {
    case `${EVENTS}ServiceDeclared`: {
      const { jobId, tenant, name } = ServiceDeclared.decode(payload)
      return { type: 'DeclareService', jobId, tenant, name }
    }
    case `${EVENTS}ServiceEnded`:
      return { type: 'EndService', jobId: ServiceEnded.decode(payload).jobId }
    default:
      return undefined
  }
}

/** What the resource profiler listens to, besides the bus of measurements. */
export const inputs: readonly InputSource<ProfilerCommand>[] = [
  replacingSource('mediator', fromMediator),
  replacingSource('scheduler', fromScheduler),
  replacingSource('pool-manager', fromPool),
]
