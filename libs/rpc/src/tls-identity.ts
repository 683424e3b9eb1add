import type { Principal } from '@serverless-ai/kernel'

/** What a certificate may speak for. */
export type IdentityKind = 'service' | 'node' | 'user'

/** Who a certificate stands for. */
export interface Identity {
  /** Domain of trust, like a DNS name in lower case: the identities of one platform share it. */
  readonly trustDomain: string
  readonly kind: IdentityKind
  /** Name of the service, id of the node, or tenant. */
  readonly name: string
}

const KINDS: Readonly<Record<string, IdentityKind>> = {
  service: 'service',
  node: 'node',
  user: 'user',
}
const DOMAIN = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/

/** `spiffe://<trust-domain>/<kind>/<name>`, the form in the certificate (SPIFFE ID, RFC 3986). */
export const formatIdentity = ({ trustDomain, kind, name }: Identity): string =>
  `spiffe://${trustDomain}/${kind}/${name}`

/** The inverse of {@link formatIdentity}; undefined for anything else. */
export function parseIdentity(uri: string): Identity | undefined {
  const [scheme, empty, trustDomain = '', kindName = '', name = '', ...rest] = uri.split('/')
  if (scheme !== 'spiffe:' || empty !== '' || rest.length > 0) return undefined
  const kind = Object.hasOwn(KINDS, kindName) ? KINDS[kindName] : undefined
  if (kind === undefined || !DOMAIN.test(trustDomain) || !NAME.test(name)) return undefined
  return { trustDomain, kind, name }
}

/**
 * The identity in the alternative names of a certificate, as Node prints them (`URI:…, DNS:…`).
 * There must be exactly one URI. Node puts names with commas into quotes; no name of ours has one,
 * and a list with quotes is refused as a whole, so that nothing inside of them is taken for a name.
 */
export function identityOf(subjectAltName: string | undefined): Identity | undefined {
  if (subjectAltName === undefined || subjectAltName.includes('"')) return undefined
  const uris = subjectAltName.split(', ').filter((name) => name.startsWith('URI:'))
  const [uri] = uris
  return uris.length === 1 && uri !== undefined ? parseIdentity(uri.slice(4)) : undefined
}

/** What the bearer of a certificate may do. The agent's role is bound to its node id. */
export function principalOf({ kind, name }: Identity): Principal {
  switch (kind) {
    case 'service':
      return { subject: `service:${name}`, tenant: '', roles: ['service'] }
    case 'node':
      return { subject: `node:${name}`, tenant: '', roles: ['agent'] }
    case 'user':
      return { subject: `cert:${name}`, tenant: name, roles: ['tenant'] }
  }
}

/**
 * Which service serves an API package, by its name in certificates. What every service serves
 * (health, reflection, feed, administration) is not here: any service may answer it.
 */
const SERVED_BY: Readonly<Record<string, string>> = {
  'serverlessai.job.v1': 'mediator',
  'serverlessai.schedule.v1': 'scheduler',
  'serverlessai.pool.v1': 'pool-manager',
  'serverlessai.agent.v1': 'pool-manager',
  'serverlessai.recovery.v1': 'fault-tolerance',
  'serverlessai.objective.v1': 'sla-monitor',
  'serverlessai.scaling.v1': 'autoscaler',
  'serverlessai.telemetry.v1': 'resource-profiler',
  'serverlessai.profile.v1': 'resource-profiler',
}

/** The service that must answer calls of an API, or undefined where any service may. */
export function serverOf(apiService: string): string | undefined {
  const api = apiService.slice(0, apiService.lastIndexOf('.'))
  return Object.hasOwn(SERVED_BY, api) ? SERVED_BY[api] : undefined
}

/**
 * Why a server's certificate is not that of the service that was called; undefined = it is.
 *
 * @param server name of the service, or undefined for any
 */
export function serverMismatch(
  found: Identity | undefined,
  wanted: { readonly trustDomain: string; readonly server: string | undefined },
): string | undefined {
  const { trustDomain, server } = wanted
  const want = `spiffe://${trustDomain}/service/${server ?? '*'}`
  if (found === undefined) return `its certificate has no identity; ${want} was expected`
  const isIt =
    found.kind === 'service' &&
    found.trustDomain === trustDomain &&
    (server === undefined || found.name === server)
  return isIt ? undefined : `it is ${formatIdentity(found)}; ${want} was expected`
}
