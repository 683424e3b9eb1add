/** The services of the control plane: each owns a log and public events, and is called by its name. */
export const SERVICE_NAMES = ['mediator', 'scheduler', 'pool-manager', 'fault-tolerance'] as const
export type ServiceName = (typeof SERVICE_NAMES)[number]
