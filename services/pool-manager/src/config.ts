import { z } from 'zod'
import { LEASE_MS_DEFAULT, LEASE_MS_RANGE } from './core/lease.ts'

/** Keys of the pool manager's own. */
export const poolManagerConfig = z.object({
  leaseMs: z
    .number()
    .int()
    .min(LEASE_MS_RANGE.min)
    .max(LEASE_MS_RANGE.max)
    .default(LEASE_MS_DEFAULT)
    .meta({
      description: 'Lease of a node in ms; without a heartbeat it is lost after 1.1 × + 5 s',
    }),
})
export type PoolManagerConfig = Readonly<z.output<typeof poolManagerConfig>>
