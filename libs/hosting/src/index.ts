export {
  type PlatformConfig,
  platformConfig,
  type ServiceConfig,
  serviceConfig,
  VERSION,
} from './config.ts'
export { type Credentials, CredentialsError, openCredentials } from './credentials.ts'
export { type PlatformOptions, SERVICE_NAMES, type ServiceName } from './options.ts'
export { Peers } from './peers.ts'
export { PlatformModule } from './platform.module.ts'
export { DataDirectoryError, openPlatform, systemPorts } from './platform.ts'
export { Readiness, type ReadinessCheck } from './readiness.ts'
export {
  createPlatformApp,
  EXIT_UNAVAILABLE,
  isStartError,
  ListenError,
  listenHttp,
  runService,
} from './run-service.ts'
export { RuntimeHost } from './runtime-host.ts'
export {
  EVENT_LOG,
  GRPC_SERVER,
  HEALTH,
  PEERS,
  PLATFORM_OPTIONS,
  PORTS,
  RUNTIME_HOST,
  TRANSPORT,
} from './tokens.ts'
