export { ACCESS, type AccessTable, type Role, seesAll, seesTenant } from './access.ts'
export { ANONYMOUS, type Authenticate, admit, bearerToken, staticTokens } from './auth.ts'
export type { CallObserver, ObservedCall } from './call-telemetry.ts'
export { MESSAGE_MAX_BYTES } from './channel-options.ts'
export { CODE_NUMBERS, codeOf } from './codes.ts'
export {
  type EdgeError,
  ERROR_TABLE,
  edgeErrorOf,
  httpStatusOf,
  isRefusalReason,
  type RefusalReason,
  type RpcErrorExtras,
  refusalToError,
  rpcError,
} from './error-table.ts'
export { type FollowPorts, followLeader } from './follow.ts'
export { createGrpcTransport, type GrpcTransportOptions } from './grpc-client.ts'
export { createGrpcServer, type GrpcServerOptions } from './grpc-server.ts'
export { addHealth, HealthRegistry } from './health.ts'
export { type MemoryNetwork, memoryNetwork, type VanishingServer } from './memory.ts'
export type { Link, LinkedCall, Wire } from './memory-link.ts'
export { addReflection, type ListsServices } from './reflection.ts'
export { type RefusalDetails, type RefusalSentences, refusalErrors } from './refusals.ts'
export {
  DEFAULT_RETRY,
  isAway,
  isNotServed,
  mayRepeat,
  pauseMs,
  type RetryPolicy,
} from './retry.ts'
export { addressesOf } from './route.ts'
export { isLoopback, type RpcServerOptions } from './server-options.ts'
export { clientFrom, serviceNamesOf } from './shape.ts'
export { decodeStatus, encodeStatus } from './status.ts'
export type { ServerTls } from './tls.ts'
export {
  formatIdentity,
  type Identity,
  type IdentityKind,
  identityOf,
  parseIdentity,
  principalOf,
} from './tls-identity.ts'
export {
  clientTls,
  openTlsFiles,
  parseTlsMaterial,
  TLS_CHECK_MS,
  type TlsFiles,
  type TlsMaterial,
  type TlsSource,
} from './tls-material.ts'
