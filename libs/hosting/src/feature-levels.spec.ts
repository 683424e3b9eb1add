import { AdminServiceService } from '@serverless-ai/contracts/admin/v1/admin'
import { describe, expect, it } from 'vitest'
import { counter } from './testing/counter.ts'
import { memoryCell } from './testing/memory-cell.ts'

const ADDRESSES: Readonly<Record<string, string>> = {
  r1: '127.0.0.1:1001',
  r2: '127.0.0.1:1002',
}
const ALL = Object.values(ADDRESSES).join(',')

/** Replicas of the counter over one log, each in a version that knows levels up to a number. */
function cell(options: { readonly peers?: Readonly<Record<string, string>> } = {}) {
  const { time, process: make, following } = memoryCell({ seed: 5 })
  const replica = (name: string, featureLevel: number) => {
    const process = make({
      replica: name,
      replicas: Object.keys(ADDRESSES),
      listen: ADDRESSES[name]!,
      peers: options.peers ?? { scheduler: ALL },
    })
    return { process, runtime: process.kit.host.add({ ...counter, featureLevel }) }
  }
  const admin = following.client(AdminServiceService, { address: ALL, token: 'admin' })
  const raise = (level: number, more: { without?: string[]; validateOnly?: boolean } = {}) => {
    const request = { service: 'scheduler', level, without: [], validateOnly: false, ...more }
    return time.run(admin.raiseFeatureLevel(request).catch((error: unknown) => error))
  }
  return { time, replica, admin, raise }
}

describe('raising a feature level', () => {
  it('asks every replica, and tells what they know', async () => {
    const { time, replica, admin, raise } = cell()
    const both = [replica('r1', 2), replica('r2', 3)]
    await time.run(Promise.all(both.map(({ process }) => process.start())))
    const replicas = [
      { replica: 'r1', knownFeatureLevel: 2, address: ADDRESSES['r1'], problem: '' },
      { replica: 'r2', knownFeatureLevel: 3, address: ADDRESSES['r2'], problem: '' },
    ]
    expect(await raise(2, { validateOnly: true })).toMatchObject({ featureLevel: 1, replicas })
    expect(await raise(2)).toMatchObject({ featureLevel: 2, replicas })
    const { partitions, replica: asked } = await time.run(admin.getStatus({ withDigest: false }))
    expect(partitions[0]?.featureLevel).toBe(2)
    expect(partitions[0]?.knownFeatureLevel).toBe(asked === 'r1' ? 2 : 3)
  })

  it('refuses while a replica does not know the level, unless it is left out', async () => {
    const { time, replica, raise } = cell()
    // The first to come leads.
    const newer = replica('r1', 2)
    await time.run(newer.process.start())
    const older = replica('r2', 1)
    await time.run(older.process.start())
    expect(newer.runtime.status().role).toBe('Leading')
    const refused = await raise(2)
    expect(refused).toMatchObject({ reason: 'REPLICAS_NOT_READY', metadata: { replicas: 'r2' } })
    expect(String(refused)).toContain('r2 knows 1')
    expect(newer.runtime.status().featureLevel).toBe(1)
    expect(await raise(2, { without: ['r2'] })).toMatchObject({ featureLevel: 2 })
    await time.advance(2000)
    expect(older.runtime.status().alarm).toMatch(/feature level 2 is in use/)
  })

  it('refuses while a replica does not answer', async () => {
    const { time, replica, raise } = cell()
    await time.run(replica('r1', 2).process.start())
    const refused = await raise(2)
    expect(refused).toMatchObject({ reason: 'REPLICAS_NOT_READY' })
    expect(String(refused)).toMatch(/r2: .* at 127\.0\.0\.1:1002/)
    expect(await raise(2, { without: ['r2'] })).toMatchObject({ featureLevel: 2 })
  })

  it('refuses where it does not know whom to ask', async () => {
    const { time, replica, raise } = cell({ peers: {} })
    await time.run(replica('r1', 2).process.start())
    expect(String(await raise(2))).toContain('set --peers.scheduler to all replicas')
  })

  it('refuses what the leader does not know, and what is no level', async () => {
    const { time, replica, raise } = cell()
    const both = [replica('r1', 2), replica('r2', 2)]
    await time.run(Promise.all(both.map(({ process }) => process.start())))
    expect(await raise(3)).toMatchObject({ reason: 'FEATURE_LEVEL_UNKNOWN' })
    expect(await raise(0)).toMatchObject({ reason: 'INVALID_ARGUMENT' })
  })
})
