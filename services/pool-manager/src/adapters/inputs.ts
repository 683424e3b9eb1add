import { LaunchPrepared } from '@serverless-ai/contracts/events/v1/mediator'
import { GangPlaced, GangReleased } from '@serverless-ai/contracts/events/v1/scheduler'
import { EVENTS } from '@serverless-ai/contracts/names'
import type { InputSource, PublicEvent } from '@serverless-ai/runtime'
import type { PoolCommand } from '../core/messages.ts'
import type { Contract, Grant, Release } from '../core/model.ts'

const GANG_PLACED = `${EVENTS}GangPlaced`
const GANG_RELEASED = `${EVENTS}GangReleased`
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
  }
}

/** Grants and releases. */
const scheduler: InputSource<PoolCommand> = {
  service: 'scheduler',
  toCommand: (event) => {
    if (event.type === GANG_PLACED) return { type: 'TakeGrant', grant: grantFrom(event) }
    if (event.type === GANG_RELEASED) return { type: 'TakeRelease', release: releaseFrom(event) }
    return undefined
  },
  replaced: (events) => ({
    type: 'ReplaceSchedule',
    grants: events.filter((event) => event.type === GANG_PLACED).map(grantFrom),
    releases: events.filter((event) => event.type === GANG_RELEASED).map(releaseFrom),
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
