/** Injection tokens of the shared providers. Always injected explicitly: `@Inject(TRANSPORT)`. */

/** Kernel `Ports`: clock, timers, randomness, disk, logger. */
export const PORTS = Symbol('PORTS')
/** Kernel `TransportServer`: services add their definitions before it listens. */
export const GRPC_SERVER = Symbol('GRPC_SERVER')
/** Kernel `Transport`: outgoing calls. */
export const TRANSPORT = Symbol('TRANSPORT')
/** {@link Peers}: typed clients of the other services. */
export const PEERS = Symbol('PEERS')
/** {@link RuntimeHost}: the partitions this process serves. */
export const RUNTIME_HOST = Symbol('RUNTIME_HOST')
/** `HealthRegistry` of `@serverless-ai/rpc`. */
export const HEALTH = Symbol('HEALTH')
/** {@link PlatformOptions} of this process. */
export const PLATFORM_OPTIONS = Symbol('PLATFORM_OPTIONS')
/** `EventLog`. */
export const EVENT_LOG = Symbol('EVENT_LOG')
