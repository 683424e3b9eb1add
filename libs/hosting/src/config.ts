import { type DeepReadonly, kafkaConfig, snapshotsConfig } from '@serverless-ai/config'
import { REQUEST_CLASSES } from '@serverless-ai/contracts/services'
import { z } from 'zod'
import { tracingConfig } from './telemetry/tracing.ts'

/** `host:port`, or several of them with commas between: the replicas of one service. */
const addressList = z
  .string()
  .regex(
    /^(\[[0-9a-f:]+\]|[^:\s,]+):\d{1,5}( *, *(\[[0-9a-f:]+\]|[^:\s,]+):\d{1,5})*$/i,
    'must be HOST:PORT, for example 127.0.0.1:7070, or HOST:PORT,HOST:PORT for its replicas',
  )

/** Keys that every process of the control plane has. */
export const platformConfig = z.object({
  data: z.string().default('.sai').meta({ description: 'Directory of the data' }),
  host: z.string().default('127.0.0.1').meta({ description: 'Address to listen on' }),
  port: z.number().int().min(1).max(65_534).default(7070).meta({
    description: 'gRPC port; /livez, /readyz and /metrics answer by HTTP on the next one',
  }),
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
    .optional()
    .meta({
      description:
        'Days for which the past of the log is kept, for reads at a past position and for ' +
        'consumers that were away; 0 keeps everything. Default: 14 on the embedded log, 0 on ' +
        'Kafka, whose topics of public events have a retention of their own',
    }),
  logLevel: z
    .enum(['debug', 'info', 'warn', 'error', 'silent'])
    .default('warn')
    .meta({ description: 'Lowest level of log lines on standard error' }),
  kafka: kafkaConfig.prefault({}),
  tracing: tracingConfig.prefault({}),
  snapshots: snapshotsConfig.prefault({}),
})
export type PlatformConfig = DeepReadonly<z.output<typeof platformConfig>>

/** Classes of requests: the same wherever they are named. */
export const requestClasses = z
  .array(z.string().regex(/^[a-z][a-z0-9-]{0,31}$/))
  .min(1)
  .max(16)
  .default([...REQUEST_CLASSES])
  .meta({ description: 'Classes of requests, the highest first' })

/** PEM files of mutual TLS: all three, or none. */
const tls = z
  .object({
    ca: z.string().min(1).optional().meta({ description: 'Certificates of trusted authorities' }),
    cert: z.string().min(1).optional().meta({ description: 'Certificate of this service' }),
    key: z.string().min(1).optional().meta({ description: 'Private key of the certificate' }),
    requireClientCertificate: z.boolean().default(false).meta({
      description: 'Refuse connections without a certificate: users with tokens alone as well',
    }),
  })
  .superRefine(({ ca, cert, key, requireClientCertificate }, context) => {
    const given = { ca, cert, key }
    const missing = Object.entries(given).flatMap(([name, path]) =>
      path === undefined ? [name] : [],
    )
    if (missing.length === 0 || (missing.length === 3 && !requireClientCertificate)) return
    const message = 'is missing: TLS needs ca, cert and key, or none of them'
    for (const name of missing) context.addIssue({ code: 'custom', path: [name], message })
  })
  .prefault({})

/** Keys of a service that is started alone. */
export const serviceConfig = platformConfig.extend({
  advertise: z
    .string()
    .regex(/^(\[[0-9a-f:]+\]|[^:\s,/]+):\d{1,5}$/i, 'must be HOST:PORT, as others reach this one')
    .optional()
    .meta({
      description:
        'HOST:PORT at which others reach this replica, where it is not what it listens on',
    }),
  replicas: z
    .array(z.string().min(1))
    .default([])
    .meta({
      description:
        'Names of all replicas of this service with commas between, this one included; ' +
        'empty = this one alone. Several need --kafka.brokers',
    }),
  tls,
  peers: z
    .object({
      mediator: addressList.optional().meta({ description: 'Addresses of the mediator' }),
      scheduler: addressList.optional().meta({ description: 'Addresses of the scheduler' }),
      'pool-manager': addressList.optional().meta({ description: 'Addresses of the pool manager' }),
      'fault-tolerance': addressList
        .optional()
        .meta({ description: 'Addresses of fault tolerance' }),
      'sla-monitor': addressList.optional().meta({ description: 'Addresses of the SLA monitor' }),
      autoscaler: addressList.optional().meta({ description: 'Addresses of the autoscaler' }),
      'resource-profiler': addressList
        .optional()
        .meta({ description: 'Addresses of the resource profiler' }),
    })
    .prefault({}),
})
export type ServiceConfig = DeepReadonly<z.output<typeof serviceConfig>>

/** Version of the product. */
export const VERSION = '0.2.0'
