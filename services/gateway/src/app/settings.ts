import { REQUEST_CLASSES } from '@serverless-ai/contracts/services'

/** Limits of a gateway. Each has a reason code that a caller sees when it is passed. */
export interface GatewaySettings {
  /** Classes of requests, the highest first. */
  readonly classes: readonly string[]
  /** Class of requests where neither they nor their service name one. */
  readonly defaultClass: string
  /** Tenant to its share beside others; those that are missing have 1. */
  readonly weights: Readonly<Record<string, number>>
  /** `<tenant>/<service>` that every tenant may call. */
  readonly shared: readonly string[]
  /** Gateways that share the limits of the replicas. */
  readonly gateways: number
  /** Services answer under `<name>.<tenant>.<domain>`; empty = by path alone. */
  readonly domain: string
  /** Requests of one tenant and class that are held for a service at most. */
  readonly heldPerTenant: number
  /** Requests that are held for a service at most. */
  readonly heldPerService: number
  /** Longest time that a request is held, ms. */
  readonly holdMs: number
  /**
   * Longest time from arrival to end, where the caller asks for no shorter one, ms; at most
   * `REQUEST_TIMEOUT_MAX_MS`.
   */
  readonly timeoutMs: number
  /** Longest wait for the head of an answer once a replica has the request, ms. */
  readonly headMs: number
  /** Longest silence inside an answer, ms. */
  readonly silenceMs: number
  /** Time in which the head of an HTTP/1.1 request has to be there, ms. */
  readonly callerHeadMs: number
  /** Longest time in which a caller takes nothing of an answer or sends nothing of a body, ms. */
  readonly callerStallMs: number
  /** Largest body, bytes. */
  readonly bodyMaxBytes: number
  /** Largest body that has to be read as a whole (OpenAI, REST), bytes. */
  readonly jsonMaxBytes: number
  /** Bytes of bodies that are held in memory at most. */
  readonly buffersMaxBytes: number
  /** Connections at most. */
  readonly connectionsMax: number
  /** Requests that a replica without a limit of its own is given at once. */
  readonly concurrencyMax: number
}

export const DEFAULT_SETTINGS: GatewaySettings = {
  classes: REQUEST_CLASSES,
  defaultClass: 'standard',
  weights: {},
  shared: [],
  gateways: 1,
  domain: '',
  heldPerTenant: 256,
  heldPerService: 4_096,
  holdMs: 300_000,
  timeoutMs: 600_000,
  headMs: 120_000,
  silenceMs: 60_000,
  callerHeadMs: 10_000,
  callerStallMs: 60_000,
  bodyMaxBytes: 64 * 1024 * 1024,
  jsonMaxBytes: 4 * 1024 * 1024,
  buffersMaxBytes: 256 * 1024 * 1024,
  connectionsMax: 20_000,
  concurrencyMax: 1_000,
}
