import { z } from 'zod'
import type { ScalingSpec } from '../../core/job-spec.ts'
import { duration, durationOf } from './fields.ts'

/** How an Inference job wants to be scaled. */

const IDLE_MIN_MS = 1_000
const THOUSAND = 1_000

export const scaling = z.strictObject({
  policy: z
    .enum(['predictive', 'kpa', 'hpa'])
    .default('predictive')
    .describe('forecast and objective, or as Knative (kpa) or Kubernetes (hpa) do'),
  idle: duration()
    .default('60s')
    .describe('to zero after so long without a request, where min is 0; 1s to 1h'),
  target: z
    .number()
    .min(0.1)
    .max(1_000_000)
    .optional()
    .describe('kpa, hpa: requests at once per replica; default: 7/10 of concurrency, or 10'),
  capacity: z
    .number()
    .min(0.001)
    .max(1_000_000)
    .optional()
    .describe('predictive: requests a second that a replica surely bears; default: measured'),
})

type Written = z.output<typeof scaling>

/** Problems between fields: where below `serve.scaling`, and what. */
export function scalingConflicts(
  written: Written | undefined,
  min: number,
): { field: keyof Written; message: string }[] {
  if (written === undefined) return []
  const found: { field: keyof Written; message: string }[] = []
  if (durationOf(written.idle) < IDLE_MIN_MS) {
    found.push({ field: 'idle', message: 'must be at least 1s' })
  }
  if (written.policy === 'hpa' && min === 0) {
    const message = 'cannot be hpa with replicas.min 0: it never starts the first replica'
    found.push({ field: 'policy', message })
  }
  return found
}

/** In the units of the core. */
export const scalingOf = ({ policy, idle, target, capacity }: Written): ScalingSpec => ({
  policy,
  idleMs: durationOf(idle),
  ...(target === undefined ? {} : { targetMilli: Math.round(target * THOUSAND) }),
  ...(capacity === undefined ? {} : { capacityMilli: Math.round(capacity * THOUSAND) }),
})

/** As it is written. */
export function writeScaling({ policy, idleMs, targetMilli, capacityMilli }: ScalingSpec): object {
  return {
    policy,
    idle: idleMs % THOUSAND === 0 ? `${idleMs / THOUSAND}s` : `${idleMs}ms`,
    ...(targetMilli === undefined ? {} : { target: targetMilli / THOUSAND }),
    ...(capacityMilli === undefined ? {} : { capacity: capacityMilli / THOUSAND }),
  }
}
