import { LaunchPrepared } from '@serverless-ai/contracts/events/v1/mediator'
import {
  CheckpointRequested,
  GangPlaced,
  GangReleased,
} from '@serverless-ai/contracts/events/v1/scheduler'
import { EVENTS } from '@serverless-ai/contracts/names'
import type { ReadinessProbe as ReadinessProbeProto } from '@serverless-ai/contracts/pool/v1/pool'
import type { InputSource, PublicEvent } from '@serverless-ai/runtime'
import type { PoolCommand, TakeNotice } from '../core/messages.ts'
import type { Contract, Grant, ReadinessProbe, Release } from '../core/model.ts'

const GANG_PLACED = `${EVENTS}GangPlaced`
const GANG_RELEASED = `${EVENTS}GangReleased`
const CHECKPOINT_REQUESTED = `${EVENTS}CheckpointRequested`
const LAUNCH_PREPARED = `${EVENTS}LaunchPrepared`

function grantFrom(event: PublicEvent): Grant {
  const placed = GangPlaced.decode(event.payload)
  return {
    jobId: placed.jobId,
    gang: placed.gang,
    generation: placed.generation,
    tenant: placed.tenant,
    nodes: [...placed.nodes],
    nodeOfRank: [...placed.nodeOfRank],
    deviceIndexes: [...placed.deviceIndexes],
    rank0Ports: [...placed.rank0Ports],
    devicesPerTask: placed.perTask?.devices ?? 0,
    cpuMillis: Number(placed.perTask?.cpuMillis ?? 0n),
    memoryMib: Number(placed.perTask?.memoryMib ?? 0n),
    exclusive: placed.exclusive,
  }
}

function releaseFrom(event: PublicEvent): Release {
  const { jobId, gang, throughGeneration, cause } = GangReleased.decode(event.payload)
  return { jobId, gang, throughGeneration, cause }
}

function contractFrom(event: PublicEvent): Contract {
  const prepared = LaunchPrepared.decode(event.payload)
  return {
    jobId: prepared.jobId,
    gang: prepared.gang,
    generation: prepared.generation,
    command: [...prepared.command],
    env: { ...prepared.env },
    rankEnv: prepared.rankEnv.map(({ env }) => ({ ...env })),
    workspace: prepared.workspace,
    stopGraceMs: Number(prepared.stopGraceMs),
    logMaxBytes: Number(prepared.logMaxBytes),
    ...(prepared.readiness === undefined ? {} : { readiness: probeFrom(prepared.readiness) }),
  }
}

/** A probe as it is asked: what is left out has its default. */
function probeFrom(probe: ReadinessProbeProto): ReadinessProbe {
  const { periodMs, timeoutMs, failureThreshold, successThreshold } = probe
  return {
    httpGet: probe.probe?.$case === 'httpGet' ? probe.probe.value : '',
    periodMs: periodMs === 0 ? 1_000 : periodMs,
    timeoutMs: timeoutMs === 0 ? 1_000 : timeoutMs,
    failureThreshold: failureThreshold === 0 ? 3 : failureThreshold,
    successThreshold: successThreshold === 0 ? 1 : successThreshold,
  }
}

function noticeFrom(event: PublicEvent): TakeNotice {
  const { jobId, gang, generation, noticeId, deadlineMs } = CheckpointRequested.decode(
    event.payload,
  )
  const notice = { id: noticeId, kind: 'checkpoint', deadlineMs: Number(deadlineMs) }
  return { type: 'TakeNotice', jobId, gang, generation, notice }
}

/** Grants, notices and releases. */
const scheduler: InputSource<PoolCommand> = {
  service: 'scheduler',
  toCommand: (event) => {
    if (event.type === GANG_PLACED) return { type: 'TakeGrant', grant: grantFrom(event) }
    if (event.type === GANG_RELEASED) return { type: 'TakeRelease', release: releaseFrom(event) }
    if (event.type === CHECKPOINT_REQUESTED) return noticeFrom(event)
    return undefined
  },
  replaced: (events) => ({
    type: 'ReplaceSchedule',
    grants: events.filter((event) => event.type === GANG_PLACED).map(grantFrom),
    releases: events.filter((event) => event.type === GANG_RELEASED).map(releaseFrom),
    notices: events.filter((event) => event.type === CHECKPOINT_REQUESTED).map(noticeFrom),
  }),
}

/** Launch contracts. */
const mediator: InputSource<PoolCommand> = {
  service: 'mediator',
  toCommand: (event) =>
    event.type === LAUNCH_PREPARED
      ? { type: 'TakeContract', contract: contractFrom(event) }
      : undefined,
  replaced: (events) => ({
    type: 'ReplaceContracts',
    contracts: events.filter((event) => event.type === LAUNCH_PREPARED).map(contractFrom),
  }),
}

/** What the pool manager listens to. */
export const inputs: readonly InputSource<PoolCommand>[] = [scheduler, mediator]
