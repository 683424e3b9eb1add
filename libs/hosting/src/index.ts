export { SERVICE_NAMES, type ServiceName } from '@serverless-ai/contracts/services'
export {
  type PlatformConfig,
  platformConfig,
  requestClasses,
  type ServiceConfig,
  serviceConfig,
  VERSION,
} from './config.ts'
export { ControlPlaneProcess } from './control-plane-process.ts'
export { type Credentials, CredentialsError, openCredentials } from './credentials.ts'
export { LogStartError, usesKafka } from './event-log.ts'
export type { PlatformOptions } from './options.ts'
export { Peers } from './peers.ts'
export { PlatformModule, startServices } from './platform.module.ts'
export { DataDirectoryError, makeDataDirectory, openPlatform, systemPorts } from './platform.ts'
export { Readiness, type ReadinessCheck } from './readiness.ts'
export {
  createPlatformApp,
  defineService,
  EXIT_UNAVAILABLE,
  exitStatusOf,
  isStartError,
  ListenError,
  listenHttp,
  runService,
  type ServiceStart,
  type ServiceWrap,
} from './run-service.ts'
export { RuntimeHost } from './runtime-host.ts'
export type { ServiceKit } from './service-kit.ts'
export { SERVICE_KIT } from './tokens.ts'
