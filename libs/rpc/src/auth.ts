import { createHash } from 'node:crypto'
import type { Principal } from '@serverless-ai/kernel'
import type { AccessTable } from './access.ts'
import { rpcError } from './error-table.ts'

/** Who a bearer token stands for; undefined when it is nobody's. */
export type Authenticate = (token: string) => Principal | undefined

/** The caller of a public method without a token. */
export const ANONYMOUS: Principal = { subject: 'anonymous', tenant: '', roles: [] }

const digest = (token: string) => createHash('sha256').update(token).digest('hex')

/**
 * Fixed tokens, for development and for services of one machine. Only their hashes are kept and
 * compared, so the comparison tells nothing about a token through its time.
 */
export function staticTokens(
  entries: Iterable<{ readonly token: string; readonly principal: Principal }>,
): Authenticate {
  const known = new Map([...entries].map(({ token, principal }) => [digest(token), principal]))
  return (token) => known.get(digest(token))
}

/** The token of an `authorization: Bearer …` header, if there is one. */
export function bearerToken(metadata: ReadonlyMap<string, string>): string | undefined {
  const match = /^bearer +(\S+)$/i.exec(metadata.get('authorization') ?? '')
  return match?.[1]
}

/**
 * Admits a call or refuses it: the only place that decides who may call what.
 *
 * @param certified who the caller is by its certificate: then a token counts for nothing
 * @throws `UNAUTHENTICATED` without a known token, `PERMISSION_DENIED` without a listed role.
 */
export function admit(
  path: string,
  metadata: ReadonlyMap<string, string>,
  rules: { readonly access: AccessTable; readonly authenticate: Authenticate },
  certified?: Principal,
): Principal {
  const token = certified === undefined ? bearerToken(metadata) : undefined
  const principal = token === undefined ? certified : rules.authenticate(token)
  const allowed = rules.access[path] ?? []
  if (allowed === 'public') return principal ?? ANONYMOUS
  if (principal === undefined) throw rpcError('UNAUTHENTICATED')
  if (!allowed.some((role) => principal.roles.includes(role))) {
    const needs = allowed.length === 0 ? 'nobody' : allowed.join(' or ')
    const message = `PERMISSION_DENIED: ${path} is for ${needs}; ${principal.subject} is not`
    throw rpcError('PERMISSION_DENIED', { message, metadata: { method: path } })
  }
  return principal
}
