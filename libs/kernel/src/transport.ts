/**
 * Transport port: remote calls between services, agents and clients. Bound to gRPC in production
 * (`@serverless-ai/rpc`) and to an in-memory network in tests and the simulator. Shapes are those
 * of ts-proto's grpc-js service definitions, so generated services fit as they are.
 */

/** One method of a service. `Req` and `Res` are plain message objects. */
export interface MethodShape<Req, Res> {
  /** `/package.Service/Method`. */
  readonly path: string
  readonly requestStream: boolean
  readonly responseStream: boolean
  requestSerialize(value: Req): Uint8Array
  requestDeserialize(bytes: Uint8Array): Req
  responseSerialize(value: Res): Uint8Array
  responseDeserialize(bytes: Uint8Array): Res
}

/** Request message type of a generated method. */
export type RequestOf<M> = M extends { requestSerialize: (value: infer Req) => unknown }
  ? Req
  : never
/** Response message type of a generated method. */
export type ResponseOf<M> = M extends { responseSerialize: (value: infer Res) => unknown }
  ? Res
  : never

/** A generated service definition: method name to method. */
export type ServiceShape = { readonly [method: string]: MethodShape<never, never> }

/** Who calls. */
export interface Principal {
  /** Name for records, for example `token:team-a` or `node:n1`. */
  readonly subject: string
  /** Tenant; empty for operators, services and agents. */
  readonly tenant: string
  /** `tenant`, `admin`, `agent`, `service`. */
  readonly roles: readonly string[]
}

/** What a handler knows of a call. */
export interface CallContext {
  readonly principal: Principal
  /** Aborted when the caller goes away, the deadline passes or the server stops. */
  readonly signal: AbortSignal
  /** Time left when the call came in, ms; undefined = none (streams). */
  readonly timeoutMs: number | undefined
  /** Lower-case keys. */
  readonly metadata: ReadonlyMap<string, string>
}

type UnaryHandler<Req, Res> = (request: Req, context: CallContext) => Promise<Res>
type ServerStreamHandler<Req, Res> = (request: Req, context: CallContext) => AsyncIterable<Res>
type ClientStreamHandler<Req, Res> = (
  requests: AsyncIterable<Req>,
  context: CallContext,
) => Promise<Res>
type DuplexHandler<Req, Res> = (
  requests: AsyncIterable<Req>,
  context: CallContext,
) => AsyncIterable<Res>

/**
 * Handler of a generated method: streams are async iterables, pulled one message at a time (that is
 * the back-pressure).
 */
export type HandlerOf<M> = M extends { requestStream: true; responseStream: true }
  ? DuplexHandler<RequestOf<M>, ResponseOf<M>>
  : M extends { requestStream: true }
    ? ClientStreamHandler<RequestOf<M>, ResponseOf<M>>
    : M extends { responseStream: true }
      ? ServerStreamHandler<RequestOf<M>, ResponseOf<M>>
      : UnaryHandler<RequestOf<M>, ResponseOf<M>>

/** All handlers of a service. */
export type HandlersOf<S> = { readonly [K in keyof S]: HandlerOf<S[K]> }

/** Options of one call. */
export interface CallOptions {
  /** Default 30,000 for unary calls, none for streams. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  readonly metadata?: Readonly<Record<string, string>>
}

/** Caller's side of a generated method. Failures are {@link RpcError}. */
export type CallerOf<M> = M extends { requestStream: true; responseStream: true }
  ? (requests: AsyncIterable<RequestOf<M>>, options?: CallOptions) => AsyncIterable<ResponseOf<M>>
  : M extends { requestStream: true }
    ? (requests: AsyncIterable<RequestOf<M>>, options?: CallOptions) => Promise<ResponseOf<M>>
    : M extends { responseStream: true }
      ? (request: RequestOf<M>, options?: CallOptions) => AsyncIterable<ResponseOf<M>>
      : (request: RequestOf<M>, options?: CallOptions) => Promise<ResponseOf<M>>

/** A typed client. */
export type ClientOf<S> = { readonly [K in keyof S]: CallerOf<S[K]> }

/** Outgoing side. One channel per address is shared and re-used. */
export interface Transport {
  /** `token` is sent as a bearer token with each call. */
  client<S>(service: S, target: { address: string; token?: string }): ClientOf<S>
  close(): Promise<void>
}

/** Incoming side. */
export interface TransportServer {
  add<S>(service: S, handlers: HandlersOf<S>): void
  /** Binds and serves; returns the address with the real port. */
  listen(address: string): Promise<string>
  /** Refuses new calls, lets running ones end until `graceMs`, then ends them. */
  close(graceMs: number): Promise<void>
  /** Aborted as soon as `close` begins: long streams end themselves on it. */
  readonly stopping: AbortSignal
}

/** Canonical codes, as in gRPC. */
export type RpcCode =
  | 'CANCELLED'
  | 'UNKNOWN'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'OUT_OF_RANGE'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'DATA_LOSS'
  | 'UNAUTHENTICATED'

/** A field of a request that is wrong (google.rpc.BadRequest). */
export interface FieldViolation {
  /**
   * Path with line and column where there is a text, for example `spec.tasks (line 7, column 12)`.
   */
  readonly field: string
  readonly description: string
}

/** A failed call. Travels as a status with google.rpc details (ErrorInfo always). */
export class RpcError extends Error {
  override readonly name = 'RpcError'
  readonly code: RpcCode
  /** Stable reason in UPPER_SNAKE_CASE, the key of the error catalogue. */
  readonly reason: string
  /** Numbers and names that belong to the reason. */
  readonly metadata: Readonly<Record<string, string>>
  readonly violations: readonly FieldViolation[]
  /** Wait at least this long before trying again, ms. */
  readonly retryAfterMs: number | undefined
  constructor(init: {
    code: RpcCode
    reason: string
    message: string
    metadata?: Readonly<Record<string, string>>
    violations?: readonly FieldViolation[]
    retryAfterMs?: number
  }) {
    super(init.message)
    this.code = init.code
    this.reason = init.reason
    this.metadata = init.metadata ?? {}
    this.violations = init.violations ?? []
    this.retryAfterMs = init.retryAfterMs
  }
}
