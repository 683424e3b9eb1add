import { z } from 'zod'

/** `host:port`. */
const address = z
  .string()
  .regex(/^(\[[0-9a-f:]+\]|[^:\s]+):\d{1,5}$/i, 'must be HOST:PORT, for example 127.0.0.1:7070')

/** Keys that every process of the control plane has. */
export const platformConfig = z.object({
  data: z.string().default('.sai').meta({ description: 'Directory of the data' }),
  host: z.string().default('127.0.0.1').meta({ description: 'Address to listen on' }),
  port: z
    .number()
    .int()
    .min(1)
    .max(65_534)
    .default(7070)
    .meta({ description: 'gRPC port; /livez and /readyz answer by HTTP on the next one' }),
  replica: z.string().default('r1').meta({ description: 'Name of this replica' }),
  insecureDev: z
    .boolean()
    .default(false)
    .meta({ description: 'Allow listening beyond the loopback without transport security' }),
  retentionDays: z
    .number()
    .int()
    .min(0)
    .max(36_500)
    .default(14)
    .meta({
      description:
        'Days for which the past of the log is kept, for reads at a past position and for ' +
        'consumers that were away; 0 keeps everything',
    }),
  logLevel: z
    .enum(['debug', 'info', 'warn', 'error', 'silent'])
    .default('warn')
    .meta({ description: 'Lowest level of log lines on standard error' }),
})
export type PlatformConfig = Readonly<z.output<typeof platformConfig>>

/** Keys of a service that is started alone. */
export const serviceConfig = platformConfig.extend({
  peers: z
    .object({
      mediator: address.optional().meta({ description: 'Address of the mediator' }),
      scheduler: address.optional().meta({ description: 'Address of the scheduler' }),
      'pool-manager': address.optional().meta({ description: 'Address of the pool manager' }),
      'fault-tolerance': address.optional().meta({ description: 'Address of fault tolerance' }),
    })
    .prefault({}),
})
export type ServiceConfig = Readonly<z.output<typeof serviceConfig>>

/** Version of the product. */
export const VERSION = '0.1.0'
