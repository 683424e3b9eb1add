import { expect, it } from 'vitest'
import { onKafka } from '../support/environment.ts'
import { runControlPlaneAway } from './control-plane-away.ts'

const OPTIONS = { leaseMs: 2_000, awayMs: 6_000, startMs: onKafka() ? 40_000 : 0 }

it('a control plane that is away kills no task that may go on without it', async () => {
  const result = await runControlPlaneAway(OPTIONS)
  expect(result.breaches).toEqual([])
  expect(result).toMatchObject({ keepGeneration: 1, exclusiveGeneration: 2 })
})
