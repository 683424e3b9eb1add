import type { Clock, Logger, Timers, Tracer } from '@serverless-ai/kernel'
import { ACCESS, type AccessTable } from './access.ts'
import type { Authenticate } from './auth.ts'
import type { CallObserver } from './call-telemetry.ts'
import { rpcError } from './error-table.ts'

/** What a server of either transport needs. */
export interface RpcServerOptions {
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  readonly authenticate: Authenticate
  /** Default: the platform's table. */
  readonly access?: AccessTable
  /** Time for a unary call whose caller names no deadline, and the most one gets, ms. 30,000. */
  readonly unaryTimeoutMs?: number
  /** Allows addresses other than the loopback, without transport security. Default false. */
  readonly insecureDev?: boolean
  /** Told of every call that ends. Default: nobody. */
  readonly observer?: CallObserver | undefined
  /** Makes spans of calls with one answer. Default: none are made. */
  readonly tracer?: Tracer | undefined
}

/** Options with their defaults. */
type ToldOf = 'observer' | 'tracer'
export type ServerRules = Required<Omit<RpcServerOptions, ToldOf>> & Pick<RpcServerOptions, ToldOf>

export const UNARY_TIMEOUT_MS = 30_000

export function withDefaults(options: RpcServerOptions): ServerRules {
  return { access: ACCESS, unaryTimeoutMs: UNARY_TIMEOUT_MS, insecureDev: false, ...options }
}

/** A method that nobody may call is a slip of the program: say so before the first call does. */
export function requireAccessRow(access: AccessTable, path: string): void {
  if (access[path] === undefined) throw new TypeError(`no access row for ${path}`)
}

/** True for an address of this machine alone: `127.x.x.x:port`, `[::1]:port`, `localhost:port`. */
export function isLoopback(address: string): boolean {
  if (address.startsWith('unix:')) return true
  const host = address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

/**
 * @param allowed there is transport security, or it was asked to go without
 * @throws `LISTEN_REFUSED` for an address that others can reach, unless allowed
 */
export function requireLoopback(address: string, allowed: boolean): void {
  if (allowed || isLoopback(address)) return
  const message =
    `LISTEN_REFUSED: ${address} can be reached from other machines and there is no transport ` +
    'security; listen on 127.0.0.1, give TLS files (--tls.ca, --tls.cert, --tls.key), or pass ' +
    '--insecure-dev on a network you trust'
  throw rpcError('LISTEN_REFUSED', { message, metadata: { address } })
}
