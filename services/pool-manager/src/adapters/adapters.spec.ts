import {
  DevicesFreed,
  NodeChanged,
  TaskExited,
} from '@serverless-ai/contracts/events/v1/pool_manager'
import { Inventory } from '@serverless-ai/contracts/pool/v1/pool'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { poolDecider } from '../core/decider.ts'
import type { PoolEvent } from '../core/messages.ts'
import { errorOf, poolError } from './errors.ts'
import { exitFromProto, inventoryFromProto } from './from-proto.ts'
import { publish, snapshotFeed } from './public-events.ts'
import { exitToProto, inventoryToProto } from './to-proto.ts'

const text = fc.string({ maxLength: 20 })
const count = fc.integer({ min: 0, max: 1_000_000 })
const device = fc.record({
  index: count,
  uuid: text,
  model: text,
  memoryMib: count,
  emulated: fc.boolean(),
  healthy: fc.boolean(),
})
const inventories = fc.record({
  cpuMillis: count,
  memoryMib: count,
  devices: fc.array(device, { maxLength: 4 }),
  address: text,
  portFirst: count,
  portLast: count,
  labels: fc.dictionary(fc.constantFrom('zone', 'rack'), text, { noNullPrototype: true }),
  agentVersion: text,
  isolation: text,
})

test('an inventory survives the wire', () => {
  fc.assert(
    fc.property(inventories, (inventory) => {
      const bytes = Inventory.encode(inventoryToProto(inventory)).finish()
      expect(inventoryFromProto(Inventory.decode(bytes))).toEqual(inventory)
    }),
  )
})

test('every cause of an end survives the wire, an unknown one is no end', () => {
  const causes = ['EXITED', 'STOPPED', 'LEASE_LAPSED', 'NODE_SHUTDOWN', 'SUPERVISOR_LOST'] as const
  const more = [
    'PORT_IN_USE',
    'START_FAILED',
    'PREPARE_FAILED',
    'OUT_OF_MEMORY',
    'NODE_LOST',
  ] as const
  for (const cause of [...causes, ...more]) {
    const exit = { cause, exitCode: 137, signal: 'SIGKILL', message: 'm', atMs: 5 }
    expect(exitFromProto(exitToProto(exit))).toEqual(exit)
  }
  expect(exitFromProto(undefined)).toBeNull()
})

test('the snapshot tells an empty consumer what the live events told', () => {
  const inventory = inventoryFromProto(undefined)
  const key = { jobId: 'j', gang: 0, generation: 1, rank: 0 }
  const exit = { cause: 'EXITED', exitCode: 0, signal: '', message: '', atMs: 9 } as const
  const grant = {
    jobId: 'j',
    gang: 0,
    generation: 1,
    tenant: 'team-a',
    nodes: ['n1'],
    nodeOfRank: [0],
    deviceIndexes: [0],
    rank0Ports: [],
    devicesPerTask: 1,
    cpuMillis: 0,
    memoryMib: 0,
    exclusive: false,
  }
  const contract = {
    jobId: 'j',
    gang: 0,
    generation: 1,
    command: ['x'],
    env: {},
    rankEnv: [{}],
    workspace: '',
    stopGraceMs: 0,
    logMaxBytes: 0,
  }
  const events: readonly PoolEvent[] = [
    {
      type: 'NodeRegistered',
      nodeId: 'n1',
      supervisorSession: 's1',
      inventory,
      clockSkewMs: 0,
      change: 'first registration',
    },
    { type: 'GangGranted', grant },
    { type: 'ContractPrepared', contract },
    { type: 'RanksAssigned', jobId: 'j', gang: 0, generation: 1 },
    { type: 'TaskStarted', key, startedMs: 7 },
    { type: 'TaskExited', key, exit },
    { type: 'DevicesFreed', jobId: 'j', gang: 0, generation: 1, ranks: [0], nodeId: 'n1' },
  ]
  let state = poolDecider.initial()
  const live = events.flatMap((event) => {
    state = poolDecider.evolve(state, event, 1)
    return publish(event, state, 1)
  })
  const names = ['NodeChanged', 'TaskStarted', 'TaskExited', 'DevicesFreed']
  const typeNames = names.map((name) => `serverlessai.events.v1.${name}`)
  expect(live.map((draft) => draft.type)).toEqual(typeNames)
  const feed = [...snapshotFeed(state)]
  expect(feed.map((draft) => draft.type)).toEqual(typeNames)
  expect(feed.map((draft) => draft.tenant)).toEqual(['', 'team-a', 'team-a', 'team-a'])
  expect(NodeChanged.decode(feed[0]!.payload).node?.nodeId).toBe('n1')
  expect(TaskExited.decode(feed[2]!.payload)).toEqual(TaskExited.decode(live[2]!.payload))
  expect(DevicesFreed.decode(feed[3]!.payload).ranks).toEqual([0])
})

test('details become metadata; a refusal of the runtime keeps its own code', () => {
  const error = errorOf({ reason: 'STALE_SESSION', details: { nodeId: 'n1' } })
  expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', metadata: { nodeId: 'n1' } })
  expect(poolError('NODE_AWAY', { node: 'n1' }).message).toContain('n1')
  const large = errorOf({ reason: 'COMMAND_TOO_LARGE', details: { bytes: 5 } })
  expect(large).toMatchObject({ code: 'RESOURCE_EXHAUSTED', metadata: { bytes: '5' } })
})
