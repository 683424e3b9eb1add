import { type Principal, type Randomness, RpcError, uuidV7 } from '@serverless-ai/kernel'
import {
  type Authenticate,
  bearerToken,
  httpStatusOf,
  rpcError,
  seesAll,
  seesTenant,
} from '@serverless-ai/rpc'
import { Outcome } from '../app/meter.ts'
import type { Service, Services } from '../app/services.ts'
import { headersProblem, isEncoded, oneOf } from '../core/headers.ts'
import { OPENAI_MODELS, OPENAI_PATHS, readOpenAi } from '../core/openai.ts'
import { serviceHost, servicePath, splitTarget, targetProblem } from '../core/paths.ts'
import { type Buffers, collect } from './body.ts'
import { answerError, type ErrorForm } from './errors.ts'
import type { Exchange } from './exchange.ts'
import { Forward, type ForwardPorts } from './forward.ts'
import { Marks } from './marks.ts'

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** Bodies up to this size are read before their request takes a replica's time, bytes. */
const SMALL_BYTES = 65_536
/** Longest pause of a caller within a body that is read as a whole, ms. */
const BODY_STALL_MS = 20_000
/** A service that is not known is waited for: it may have been submitted a moment ago, ms. */
const DECLARED_WITHIN_MS = 500

/** Answers what is no service of a tenant: the REST API of the control plane. */
export interface ApiHandler {
  /** False = it has no such path. */
  handle(exchange: Exchange, requestId: string): boolean
}

export interface RouterInit {
  readonly services: Services
  readonly authenticate: Authenticate
  readonly ports: ForwardPorts & { readonly randomness: Randomness }
  readonly buffers: Buffers
  readonly api?: ApiHandler
  /** False while the gateway stops: new requests are sent elsewhere. */
  readonly open: () => boolean
}

/** What is known of a request when it comes. */
interface Arrival {
  readonly requestId: string
  readonly form: ErrorForm
  /** Monotonic, ms. */
  readonly arrivedMs: number
  readonly arrivedWallMs: number
  /** Filled in on the way. */
  tenant?: string
  service?: Service
}

/** A request that leads to a service, before its body was looked at. */
interface Found {
  readonly service: Service
  readonly target: string
}

/** From a request to the service or the API that it is for. */
export class Router {
  readonly #init: RouterInit
  #nextId = 1

  constructor(init: RouterInit) {
    this.#init = init
  }

  handle(exchange: Exchange): void {
    const { ports } = this.#init
    const arrivedWallMs = ports.clock.wallMs()
    const requestId = uuidV7(arrivedWallMs, ports.randomness.bytes(10))
    const form = formOf(exchange)
    const arrivedMs = ports.clock.monotonicMs()
    const arrival: Arrival = { requestId, form, arrivedMs, arrivedWallMs }
    this.#route(exchange, arrival).catch((error: unknown) => {
      const known = error instanceof RpcError ? error : rpcError('INTERNAL')
      if (known.reason === 'CANCELLED') exchange.cut()
      else answerError(exchange, known, form, { 'x-request-id': requestId })
      this.#refused(exchange, arrival, known)
    })
  }

  /** What was refused here is measured as what was refused at the gate of a service. */
  #refused(exchange: Exchange, arrival: Arrival, error: RpcError): void {
    const { meter, clock, settings } = this.#init.ports
    const { requestId, arrivedMs, arrivedWallMs, tenant = '', service } = arrival
    const marks = new Marks()
    if (exchange.answered) marks.status = httpStatusOf(error)
    const className = service === undefined ? '' : this.#className(exchange, service)
    meter.ended({
      ...marks.measured(),
      requestId,
      jobId: service?.route.jobId ?? '',
      service: service?.route.name ?? '',
      tenant,
      class: settings.classes.includes(className) ? className : '',
      outcome: outcomeOf(error),
      reason: error.reason,
      arrivedWallMs,
      arrivedMs,
      endedMs: clock.monotonicMs(),
      gang: undefined,
      generation: undefined,
      attempts: 0,
      fromZero: false,
    })
  }

  async #route(exchange: Exchange, arrival: Arrival): Promise<void> {
    if (!this.#init.open()) throw rpcError('SERVER_STOPPING', { retryAfterMs: 1_000 })
    check(exchange)
    const principal = this.#principal(exchange)
    const { path } = splitTarget(exchange.target)
    if (path === OPENAI_MODELS) return this.#models(exchange, principal)
    if (OPENAI_PATHS.has(path)) return this.#openAi(exchange, principal, arrival)
    const found = await this.#service(exchange, principal, arrival)
    if (found !== undefined) return this.#plain(exchange, principal, arrival, found)
    if (this.#init.api?.handle(exchange, arrival.requestId) === true) return
    throw rpcError('ROUTE_NOT_FOUND')
  }

  #principal(exchange: Exchange): Principal | undefined {
    const header = oneOf(exchange.headers['authorization']) ?? ''
    const token = bearerToken(new Map([['authorization', header]]))
    return token === undefined ? undefined : this.#init.authenticate(token)
  }

  /** The service that host or path name; a caller that may not see it learns nothing about it. */
  async #service(
    exchange: Exchange,
    principal: Principal | undefined,
    arrival: Arrival,
  ): Promise<Found | undefined> {
    const { domain } = this.#init.ports.settings
    const host = serviceHost(exchange.authority, domain)
    const path = host === undefined ? servicePath(exchange.target) : undefined
    const named = host ?? path
    if (named === undefined) return undefined
    const service = await this.#visible(named.tenant, named.name, principal, arrival)
    return { service, target: path?.rest ?? exchange.target }
  }

  async #visible(
    tenant: string,
    name: string,
    principal: Principal | undefined,
    arrival: Arrival,
  ): Promise<Service> {
    if (principal === undefined) throw rpcError('UNAUTHENTICATED')
    const { services, ports } = this.#init
    const shared = ports.settings.shared.includes(`${tenant}/${name}`)
    const allowed = shared || seesTenant(principal, tenant)
    const service = allowed ? await services.await(tenant, name, DECLARED_WITHIN_MS) : undefined
    if (service !== undefined) {
      arrival.tenant = seesAll(principal) ? tenant : principal.tenant
      arrival.service = service
      return service
    }
    if (!services.complete) throw rpcError('NOT_READY', { retryAfterMs: 1_000 })
    throw rpcError('SERVICE_NOT_FOUND')
  }

  async #plain(
    exchange: Exchange,
    principal: Principal | undefined,
    arrival: Arrival,
    { service, target }: Found,
  ): Promise<void> {
    const isGrpc = arrival.form === 'grpc'
    if (isGrpc !== (service.route.protocol === 'grpc')) throw rpcError('PROTOCOL_MISMATCH')
    if (isGrpc && !exchange.http2) throw rpcError('PROTOCOL_MISMATCH')
    const { bodyMaxBytes } = this.#init.ports.settings
    const length = exchange.contentLength
    if (length !== undefined && length > bodyMaxBytes) throw rpcError('BODY_TOO_LARGE')
    const small = length !== undefined && length <= SMALL_BYTES && !isGrpc
    const read = exchange.hasBody && small ? await this.#collect(exchange, SMALL_BYTES) : undefined
    const body = read?.bytes ?? (exchange.hasBody ? exchange.body : undefined)
    exchange.onClose(() => read?.release())
    const session = oneOf(exchange.headers['x-sai-session']) ?? ''
    const gate = { cost: 1, tokens: 0, promptTokens: 0, session }
    this.#forward(exchange, principal, { arrival, service, target, body, gate })
  }

  async #openAi(
    exchange: Exchange,
    principal: Principal | undefined,
    arrival: Arrival,
  ): Promise<void> {
    if (principal === undefined) throw rpcError('UNAUTHENTICATED')
    if (exchange.method !== 'POST') throw rpcError('METHOD_NOT_ALLOWED')
    if (isEncoded(exchange.headers)) throw rpcError('ENCODING_NOT_SUPPORTED')
    const { jsonMaxBytes } = this.#init.ports.settings
    if ((exchange.contentLength ?? 0) > jsonMaxBytes) throw rpcError('BODY_TOO_LARGE')
    const { bytes, release } = await this.#collect(exchange, jsonMaxBytes)
    exchange.onClose(release)
    const request = readOpenAi(bytes)
    if (request === undefined) throw rpcError('MODEL_REQUIRED')
    const [tenant, name] = modelName(request.model, principal)
    const service = await this.#visible(tenant, name, principal, arrival)
    if (service.route.protocol !== 'openai') throw rpcError('PROTOCOL_MISMATCH')
    const tokens = request.promptTokens + request.answerTokens
    const session = oneOf(exchange.headers['x-sai-session']) ?? request.session
    const { promptTokens } = request
    const gate = { cost: tokens, tokens, promptTokens, session }
    const { target } = exchange
    this.#forward(exchange, principal, { arrival, service, target, body: bytes, gate })
  }

  #models(exchange: Exchange, principal: Principal | undefined): void {
    if (principal === undefined) throw rpcError('UNAUTHENTICATED')
    if (exchange.method !== 'GET') throw rpcError('METHOD_NOT_ALLOWED')
    const { services, ports } = this.#init
    const mine = services
      .list()
      .map(({ route }) => route)
      .filter(({ protocol }) => protocol === 'openai')
      .filter(
        ({ tenant, name }) =>
          seesTenant(principal, tenant) || ports.settings.shared.includes(`${tenant}/${name}`),
      )
    const data = mine.map(({ tenant, name }) => ({
      id: tenant === principal.tenant ? name : `${tenant}/${name}`,
      object: 'model',
      created: 0,
      owned_by: tenant,
    }))
    const body = JSON.stringify({ object: 'list', data })
    exchange.begin(200, { 'content-type': 'application/json' }, false)
    exchange.end(body)
  }

  #collect(exchange: Exchange, maxBytes: number) {
    const { buffers, ports } = this.#init
    const { timers } = ports
    return collect(exchange.body, { maxBytes, stallMs: BODY_STALL_MS, timers, buffers })
  }

  #forward(
    exchange: Exchange,
    principal: Principal | undefined,
    about: {
      arrival: Arrival
      service: Service
      target: string
      body: ConstructorParameters<typeof Forward>[0]['body']
      gate: { cost: number; tokens: number; promptTokens: number; session: string }
    },
  ): void {
    if (principal === undefined || exchange.closed) return
    const { ports } = this.#init
    const { settings } = ports
    const { service, gate, arrival, target, body } = about
    const className = this.#className(exchange, service)
    const rank = settings.classes.indexOf(className)
    if (rank < 0) throw rpcError('CLASS_UNKNOWN', { metadata: { class: className.slice(0, 64) } })
    const { requestId, form, arrivedMs, arrivedWallMs } = arrival
    const { cost, tokens, promptTokens, session } = gate
    const affinity = service.route.sessions ? session : ''
    const tenant = seesAll(principal) ? service.route.tenant : principal.tenant
    new Forward({
      exchange,
      service,
      principal: { ...principal, tenant },
      requestId,
      gate: { id: this.#nextId++, tenant, rank, cost, tokens, arrivedMs, affinity },
      promptTokens,
      class: className,
      target,
      body,
      form,
      timeoutMs: timeoutOf(exchange, settings.timeoutMs),
      arrivedWallMs,
      ports,
    }).begin()
  }

  #className(exchange: Exchange, { route }: Service): string {
    const { settings } = this.#init.ports
    const said = oneOf(exchange.headers['x-sai-class'])
    if (said !== undefined) return said
    // A class that this gateway does not know is no reason to refuse those who did not ask for it.
    return settings.classes.includes(route.class) ? route.class : settings.defaultClass
  }
}

/** Refused for want of room, by a mistake of the caller, or by one of ours. */
function outcomeOf(error: RpcError): Outcome {
  const status = httpStatusOf(error)
  if (error.reason === 'CANCELLED') return Outcome.CANCELLED
  if (status === 429 || status === 503) return Outcome.SHED
  return status < 500 ? Outcome.CALLER_ERROR : Outcome.FAILED
}

function formOf(exchange: Exchange): ErrorForm {
  const type = oneOf(exchange.headers['content-type']) ?? ''
  if (type.startsWith('application/grpc')) return 'grpc'
  const { path } = splitTarget(exchange.target)
  return OPENAI_PATHS.has(path) || path === OPENAI_MODELS ? 'openai' : 'google'
}

/** What no request may have, wherever it leads. */
function check(exchange: Exchange): void {
  if (!METHODS.has(exchange.method)) throw rpcError('METHOD_NOT_ALLOWED')
  const target = targetProblem(exchange.target)
  if (target !== undefined) throw refused('TARGET_INVALID', target)
  const headers = headersProblem(exchange.lines)
  if (headers !== undefined) throw refused(headers.code, headers.why)
  const host = oneOf(exchange.headers['host'])
  if (host === undefined && exchange.version === '1.1') {
    throw refused('HEADER_INVALID', 'host is missing')
  }
  if (host !== undefined && exchange.http2 && host !== exchange.authority) {
    throw refused('HEADER_INVALID', 'host is not :authority')
  }
  const length = exchange.contentLength
  if (length !== undefined && !Number.isSafeInteger(length)) {
    throw refused('HEADER_INVALID', 'content-length is no number')
  }
}

function refused(reason: 'TARGET_INVALID' | 'HEADER_INVALID' | 'TOO_MANY_HEADERS', why: string) {
  const message = `${rpcError(reason).message}: ${why}`
  return rpcError(reason, { message, metadata: { why } })
}

/** `<service>` of the caller's own tenant, or `<tenant>/<service>`. */
function modelName(model: string, principal: Principal): readonly [string, string] {
  const [first = '', second] = model.split('/', 2)
  return second === undefined ? [principal.tenant, first] : [first, second]
}

const GRPC_UNITS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
}

/** Time that a caller gives its request, ms: `x-sai-timeout-ms`, or `grpc-timeout`. */
function timeoutOf(exchange: Exchange, maxMs: number): number {
  const own = oneOf(exchange.headers['x-sai-timeout-ms'])
  const grpc = oneOf(exchange.headers['grpc-timeout'])
  if (own === undefined && grpc === undefined) return maxMs
  const match = /^(\d{1,9})([HMSmun]?)$/.exec(own ?? grpc ?? '')
  const unit = match?.[2] === '' ? 'm' : match?.[2]
  if (match === null || (own !== undefined && match[2] !== '')) throw rpcError('TIMEOUT_INVALID')
  const ms = Number(match[1]) * (GRPC_UNITS[unit ?? 'm'] ?? 1)
  if (ms < 1) throw rpcError('TIMEOUT_INVALID')
  return Math.min(ms, maxMs)
}
