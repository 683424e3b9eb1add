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

/** Classes of requests, the highest first, where no setting names others. */
export const REQUEST_CLASSES = ['interactive', 'standard', 'batch'] as const
