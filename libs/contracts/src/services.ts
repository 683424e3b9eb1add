/** The services of the control plane that own a log and public events; called by these names. */
export const SERVICE_NAMES = [
  'mediator',
  'scheduler',
  'pool-manager',
  'fault-tolerance',
  'sla-monitor',
  'autoscaler',
  'resource-profiler',
] as const
export type ServiceName = (typeof SERVICE_NAMES)[number]

/**
 * What a platform can do without, the edge included: nobody waits for it. The others need each
 * other.
 */
export const OPTIONAL_SERVICES = [
  'sla-monitor',
  'autoscaler',
  'resource-profiler',
  'gateway',
] as const
export type OptionalService = (typeof OPTIONAL_SERVICES)[number]

/** The services that run where these are left out, in their order; the edge is none of them. */
export const servicesWithout = (without: readonly string[]): readonly ServiceName[] =>
  SERVICE_NAMES.filter((service) => !without.includes(service))

/** Optional services that another one listens to. */
export const NEEDED_BY: Readonly<Partial<Record<OptionalService, OptionalService>>> = {
  'sla-monitor': 'autoscaler',
  'resource-profiler': 'autoscaler',
}

/**
 * The most that a gateway may give a request from its arrival to its end (`edge.timeoutMs`), ms. No
 * replica goes for want of requests while one may be inside, so long that one may take; it is also
 * the most that a replica may have to drain.
 */
export const REQUEST_TIMEOUT_MAX_MS = 3_600_000

/** Classes of requests, the highest first, where no setting names others. */
export const REQUEST_CLASSES = ['interactive', 'standard', 'batch'] as const
