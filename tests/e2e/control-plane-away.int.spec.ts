import { expect, it } from 'vitest'
import { runControlPlaneAway } from './control-plane-away.ts'

it('a control plane that is away kills no task that may go on without it', async () => {
  const result = await runControlPlaneAway({ leaseMs: 2_000, awayMs: 6_000 })
  expect(result.breaches).toEqual([])
  expect(result).toMatchObject({ keepGeneration: 1, exclusiveGeneration: 2 })
})
