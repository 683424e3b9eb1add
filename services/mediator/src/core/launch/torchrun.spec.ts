import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jobSpec } from '../../testing/samples.ts'
import type { Placement } from '../model.ts'
import { torchrunContract } from './torchrun.ts'

const placements = fc
  .record({
    nodeOfRank: fc.array(fc.nat(7), { minLength: 1, maxLength: 64 }),
    generation: fc.integer({ min: 1, max: 9 }),
    ports: fc.integer({ min: 1, max: 16 }),
  })
  .map(
    ({ nodeOfRank, generation, ports }): Placement => ({
      gang: 0,
      generation,
      nodes: Array.from({ length: 8 }, (_, node) => `n${node}`),
      nodeOfRank,
      rank0Ports: Array.from({ length: ports }, (_, i) => 30_000 + i),
      masterAddress: '10.0.0.1',
      checkpointPath: '',
      checkpointStep: 0,
      emulated: false,
    }),
  )

const upTo = (n: number) => Array.from({ length: n }, (_, i) => String(i))

test('ranks, local ranks and group ranks are complete and unique', () => {
  fc.assert(
    fc.property(placements, (placement) => {
      const { nodeOfRank } = placement
      const spec = { ...jobSpec(), tasks: nodeOfRank.length }
      const { env, rankEnv } = torchrunContract({ jobId: 'j-0-1', spec }, placement)
      expect(rankEnv.map((e) => e.RANK)).toEqual(upTo(nodeOfRank.length))
      expect(env.WORLD_SIZE).toBe(String(nodeOfRank.length))
      const groups = Map.groupBy(nodeOfRank.keys(), (rank) => nodeOfRank[rank])
      expect(env.GROUP_WORLD_SIZE).toBe(String(groups.size))
      const groupRanks = [...groups.values()].map((ranks) => {
        const members = ranks.map((rank) => rankEnv[rank])
        expect(members.map((e) => e?.LOCAL_RANK)).toEqual(upTo(ranks.length))
        for (const member of members) expect(member?.LOCAL_WORLD_SIZE).toBe(String(ranks.length))
        const numbers = new Set(members.map((e) => e?.GROUP_RANK))
        expect(numbers.size).toBe(1)
        return [...numbers][0]
      })
      expect(groupRanks.sort((a, b) => Number(a) - Number(b))).toEqual(upTo(groups.size))
      expect(rankEnv[0]?.GROUP_RANK).toBe('0')
    }),
  )
})

test('the platform decides its own variables, the job all others', () => {
  const [placement] = fc.sample(placements, { numRuns: 1, seed: 7 })
  if (placement === undefined) throw new Error('no sample')
  const spec = {
    ...jobSpec(),
    tasks: placement.nodeOfRank.length,
    env: { LR: '0.1', WORLD_SIZE: '99' },
  }
  const resumed = { ...placement, generation: 3, checkpointPath: 'j-1/gen-2/step-40.ckpt' }
  const { env, command } = torchrunContract({ jobId: 'j-0-abc', spec }, resumed)
  expect(command).toEqual(spec.command)
  expect(env).toMatchObject({
    LR: '0.1',
    WORLD_SIZE: String(spec.tasks),
    MASTER_ADDR: '10.0.0.1',
    MASTER_PORT: '30000',
    TORCHELASTIC_RESTART_COUNT: '2',
    TORCHELASTIC_RUN_ID: 'j-0-abc',
    SAI_JOB_ID: 'j-0-abc',
    SAI_GANG: '0',
    SAI_GENERATION: '3',
    SAI_RESUME_FROM: 'j-1/gen-2/step-40.ckpt',
  })
  const first = { ...placement, generation: 1, checkpointPath: '' }
  expect(torchrunContract({ jobId: 'j-0-abc', spec }, first).env).not.toHaveProperty(
    'SAI_RESUME_FROM',
  )
})
