/** A process of the control plane without its framework: what the simulator runs as well. */
import type { Metrics } from '@serverless-ai/telemetry'

export { SERVICE_NAMES, type ServiceName } from '@serverless-ai/contracts/services'
export { ControlPlaneProcess } from './control-plane-process.ts'
export { authenticateWith, type Credentials } from './credentials.ts'
export type { PlatformOptions } from './options.ts'
export { Peers } from './peers.ts'
export { Readiness, type ReadinessCheck } from './readiness.ts'
export { RuntimeHost } from './runtime-host.ts'
export type { ServiceKit } from './service-kit.ts'
export type { Metrics }
