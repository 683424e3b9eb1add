import { autoscalerConfig } from '@serverless-ai/autoscaler'
import type { DeepReadonly } from '@serverless-ai/config'
import { NEEDED_BY, OPTIONAL_SERVICES } from '@serverless-ai/contracts/services'
import { edgeConfig } from '@serverless-ai/gateway'
import { platformConfig } from '@serverless-ai/hosting'
import { z } from 'zod'

/** Most replicas of a service that `npm start` runs. */
export const REPLICAS_MAX = 5

const without = z
  .array(z.enum(OPTIONAL_SERVICES))
  .superRefine((left, context) => {
    for (const service of left) {
      const who = NEEDED_BY[service]
      if (who === undefined || left.includes(who)) continue
      const message = `names ${service}, which the ${who} needs: name both`
      context.addIssue({ code: 'custom', message })
    }
  })
  .default([])
  .meta({
    description: `To leave out, of ${OPTIONAL_SERVICES.join(', ')}; other services need each other`,
  })

/** Keys of the whole platform on one machine: in one process, or on Kafka in several. */
export const allInOneConfig = platformConfig.extend({
  quickstart: z
    .boolean()
    .default(true)
    .meta({ description: 'On an empty data directory: make two tenants and submit example jobs' }),
  replicas: z.number().int().min(1).max(REPLICAS_MAX).default(1).meta({
    description: 'Processes of each service, with --kafka; without it there is one of all',
  }),
  without,
  nodes: z.number().int().min(0).max(32).default(3).meta({ description: 'Local nodes to run' }),
  devicesPerNode: z
    .number()
    .int()
    .min(0)
    .max(16)
    .default(2)
    .meta({ description: 'Emulated accelerators of each local node' }),
  deviceModel: z
    .string()
    .regex(/^[A-Za-z0-9][\w .-]{0,40}$/)
    .default('A100-40G')
    .meta({ description: 'Model they are called, always with the prefix emulated/' }),
  deviceMemoryMib: z
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(40_960)
    .meta({ description: 'Memory each of them is said to have, MiB' }),
  deviceCpuMillis: z.number().int().min(10).max(1_000_000).optional().meta({
    description:
      'CPU that stands for the compute of one of them, thousandths of a core; default: not bound',
  }),
  leaseMs: z
    .number()
    .int()
    .min(1_000)
    .max(300_000)
    .default(15_000)
    .meta({ description: 'Lease of a node, ms: a node is lost after 1.1 leases + 5 s of silence' }),
  workspacesMaxMib: z
    .number()
    .int()
    .min(128)
    .max(1_000_000_000)
    .default(10_240)
    .meta({ description: 'Most that uploaded directories may take, MiB; the oldest unused go' }),
  edge: edgeConfig.prefault({}),
  scaling: autoscalerConfig.prefault({}),
  taskPortFirst: z
    .number()
    .int()
    .min(1_024)
    .max(60_000)
    .default(21_000)
    .meta({ description: 'First port for tasks; each local node gets 100 of them' }),
})
export type AllInOneConfig = DeepReadonly<z.output<typeof allInOneConfig>>

/** Ports for tasks of one local node. */
export const TASK_PORTS_PER_NODE = 100

/** Tenants of the quickstart; each gets a token and a queue of its name. */
export const QUICKSTART_TENANTS = ['team-a', 'team-b'] as const

/** Names of the local nodes. */
export const nodeIdsOf = (config: Pick<AllInOneConfig, 'nodes'>): readonly string[] =>
  Array.from({ length: config.nodes }, (_, index) => `n${index + 1}`)
