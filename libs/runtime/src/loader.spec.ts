import type { SnapshotInfo } from '@serverless-ai/eventlog'
import { DiskError } from '@serverless-ai/kernel'
import { testPorts } from '@serverless-ai/kernel/testing'
import { describe, expect, it, vi } from 'vitest'
import { loadPartition } from './loader.ts'
import { Partition } from './partition.ts'
import { bank } from './testing/bank.ts'

const definition = bank()
const address = { topic: 'serverlessai.log.bank.v1', partition: 0 }

const info = (position: number): SnapshotInfo => {
  const { schemaVersion } = definition
  return { name: `${position}-0123456789abcdef`, position, bytes: 1, digest: '', schemaVersion }
}

/** Content of a snapshot at a position. */
function content(position: number): Uint8Array {
  const snapshot = { ...new Partition(definition, 0).toSnapshot(), position }
  return Buffer.from(JSON.stringify(snapshot))
}

/** A log from `start` to `end()`, with snapshots at positions and what reading each comes to. */
function open(log: { start: number; end: () => number }, snapshots: Map<number, () => Uint8Array>) {
  const ports = testPorts({ seed: 1 })
  vi.spyOn(ports.timers, 'sleep').mockResolvedValue(undefined)
  const environment = {
    eventLog: {
      range: async () => ({ start: log.start, end: log.end() }),
      fetch: () => Promise.reject(new Error('nothing is read')),
    },
    snapshots: {
      list: async () => [...snapshots.keys()].sort((a, b) => b - a).map(info),
      get: async (_: unknown, name: string) => snapshots.get(Number(name.split('-')[0]))?.(),
    },
  }
  return loadPartition({ definition, environment, ports, logger: ports.logger }, address)
}

const unreadable = (): never => {
  throw new DiskError('EIO', '/s', 'EIO: i/o error')
}

describe('loading', () => {
  it('takes an older snapshot when the newest cannot be read', async () => {
    const snapshots = new Map([
      [10, () => content(10)],
      [20, unreadable],
    ])
    const { state } = await open({ start: 5, end: () => 30 }, snapshots)
    expect(state.position).toBe(10)
  })

  it('is tried again, and does not stop, where no snapshot can be read at the moment', async () => {
    const loading = open({ start: 5, end: () => 30 }, new Map([[20, unreadable]]))
    await expect(loading).rejects.toMatchObject({ code: 'EIO' })
  })

  it('stops where the past is not kept and no snapshot is whole', async () => {
    const torn = () => Buffer.from('{')
    const loading = open({ start: 5, end: () => 30 }, new Map([[20, torn]]))
    await expect(loading).rejects.toThrow('the log serverlessai.log.bank.v1 starts at 5')
  })

  it('knows a log that has grown while the snapshots were listed', async () => {
    const ends = [15, 30]
    const end = (): number => ends.shift() ?? 30
    const { state } = await open({ start: 0, end }, new Map([[20, () => content(20)]]))
    expect(state.position).toBe(20)
  })

  it('asks again where a copy of the log that was cut off tells an old end', async () => {
    const ends = [15, 15, 15, 30]
    const end = (): number => ends.shift() ?? 30
    const { state } = await open({ start: 0, end }, new Map([[20, () => content(20)]]))
    expect(state.position).toBe(20)
  })

  it('stops where the log ends before its newest snapshot', async () => {
    const loading = open({ start: 0, end: () => 15 }, new Map([[20, () => content(20)]]))
    await expect(loading).rejects.toThrow('ends at 15, before the snapshot')
  })
})
