import { z } from 'zod'

/** Keys of the autoscaler's own. How a service is scaled stands in its description. */
export const autoscalerConfig = z.object({
  stepMs: z
    .number()
    .int()
    .min(100)
    .max(60_000)
    .default(1_000)
    .meta({ description: 'Time between two decisions of the autoscaler, ms' }),
  giveBackAfterMs: z.number().int().min(1_000).max(3_600_000).default(30_000).meta({
    description: 'Devices have to be free for so long before elastic training gets them, ms',
  }),
})
export type AutoscalerConfig = Readonly<z.output<typeof autoscalerConfig>>
