import type { DeepReadonly } from '@serverless-ai/config'
import { REQUEST_TIMEOUT_MAX_MS } from '@serverless-ai/contracts/services'
import { requestClasses, serviceConfig } from '@serverless-ai/hosting'
import { z } from 'zod'
import { DEFAULT_SETTINGS as D, type GatewaySettings } from './app/settings.ts'

const ms = (value: number, description: string, most = 86_400_000) =>
  z.number().int().min(10).max(most).default(value).meta({ description })
const count = (value: number, description: string) =>
  z.number().int().min(1).max(10_000_000).default(value).meta({ description })
const bytes = (value: number, description: string) =>
  z.number().int().min(1_024).max(68_719_476_736).default(value).meta({ description })

/** Keys of the edge. */
export const edgeConfig = z
  .object({
    host: z.string().optional().meta({
      description: 'Address on which callers are listened to; default: that of the process',
    }),
    port: z.number().int().min(1).max(65_535).optional().meta({
      description: 'Port for callers; default: the second one after that for gRPC',
    }),
    classes: requestClasses,
    defaultClass: z.string().default(D.defaultClass).meta({
      description: 'Class of requests where neither they nor their service name one',
    }),
    weights: z
      .record(z.string(), z.number().min(0.001).max(1_000))
      .default({})
      .meta({ description: 'Shares of tenants beside others; those that are missing have 1' }),
    shared: z
      .array(z.string().regex(/^[a-z0-9-]+\/[a-z0-9-]+$/))
      .default([])
      .meta({ description: 'TENANT/SERVICE that every tenant may call' }),
    gateways: count(D.gateways, 'Gateways that share the limits of the replicas'),
    domain: z.string().default('').meta({
      description: 'Services answer under NAME.TENANT.DOMAIN; empty: by path alone',
    }),
    heldPerTenant: count(D.heldPerTenant, 'Requests of a tenant and class held for a service'),
    heldPerService: count(D.heldPerService, 'Requests held for a service'),
    holdMs: ms(D.holdMs, 'Longest time that a request is held, ms'),
    timeoutMs: ms(
      D.timeoutMs,
      'Longest time of a request from arrival to end, ms',
      REQUEST_TIMEOUT_MAX_MS,
    ),
    headMs: ms(
      D.headMs,
      'Longest wait for the head of an answer once a replica has the request, ms',
    ),
    silenceMs: ms(D.silenceMs, 'Longest silence within an answer, ms'),
    callerHeadMs: ms(D.callerHeadMs, 'Time in which the head of a request has to be there, ms'),
    callerStallMs: ms(D.callerStallMs, 'Longest time in which a caller takes or sends nothing, ms'),
    stopGraceMs: ms(10_000, 'Time that requests are given to end when the gateway stops, ms'),
    bodyMaxBytes: bytes(D.bodyMaxBytes, 'Largest body of a request'),
    jsonMaxBytes: bytes(D.jsonMaxBytes, 'Largest body that is read as a whole: OpenAI, REST'),
    buffersMaxBytes: bytes(D.buffersMaxBytes, 'Bodies that are held in memory'),
    connectionsMax: count(D.connectionsMax, 'Connections of callers'),
    concurrencyMax: count(
      D.concurrencyMax,
      'Requests that a replica without a limit of its own is given at once',
    ),
  })
  .refine(({ classes, defaultClass }) => classes.includes(defaultClass), {
    path: ['defaultClass'],
    message: 'is none of the classes',
  })
export type EdgeConfig = DeepReadonly<z.output<typeof edgeConfig>>

/** Keys of a gateway that is started alone. */
export const gatewayConfig = serviceConfig.extend({ edge: edgeConfig.prefault({}) })
export type GatewayConfig = DeepReadonly<z.output<typeof gatewayConfig>>

/** Where callers are listened to. */
export const edgeAddress = (
  process: { readonly host: string; readonly port: number },
  edge: Pick<EdgeConfig, 'host' | 'port'>,
) => ({ host: edge.host ?? process.host, port: edge.port ?? process.port + 2 })

export const settingsOf = ({
  host: _,
  port: __,
  stopGraceMs: ___,
  ...settings
}: EdgeConfig): GatewaySettings => settings
