import type { Tracing } from '@serverless-ai/telemetry/tracing'
import { z } from 'zod'

/** Where the traces of a process go. */
export const tracingConfig = z.object({
  endpoint: z
    .url({ protocol: /^https?$/ })
    .optional()
    .meta({
      description:
        'Base URL of an OTLP/HTTP receiver, for example http://127.0.0.1:4318; without it nothing ' +
        'is traced',
    }),
  sampleFraction: z
    .number()
    .min(0)
    .max(1)
    .default(1)
    .meta({ description: 'Part of new traces that is recorded, 0 to 1' }),
})
export type TracingConfig = Readonly<z.output<typeof tracingConfig>>

/** Opens the way for traces; undefined = none is configured, and nothing of it is loaded. */
export async function openTracingOf(
  { endpoint, sampleFraction }: TracingConfig,
  of: { readonly service: string; readonly replica: string; readonly version: string },
): Promise<Tracing | undefined> {
  if (endpoint === undefined) return undefined
  const { openTracing } = await import('@serverless-ai/telemetry/tracing')
  return openTracing({ endpoint, sampleFraction, ...of })
}
