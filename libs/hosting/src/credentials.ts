import {
  chmodSync,
  existsSync,
  linkSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Principal, Randomness } from '@serverless-ai/kernel'
import { type Authenticate, staticTokens } from '@serverless-ai/rpc'

/**
 * Static tokens of one data directory: of everybody in development and on single machines, of users
 * alone where services and nodes have certificates.
 */
export interface Credentials {
  readonly service: string
  readonly admin: string
  /** Tenant to token. */
  readonly tenants: Readonly<Record<string, string>>
  /** Node id to token. */
  readonly nodes: Readonly<Record<string, string>>
}

/** The tokens file cannot be used. The message names the file and the mend. */
export class CredentialsError extends Error {
  override readonly name = 'CredentialsError'
}

const FILE = 'tokens.json'

const isTokenMap = (value: unknown): value is Record<string, string> =>
  typeof value === 'object' &&
  value !== null &&
  Object.values(value).every((token) => typeof token === 'string' && token.length >= 16)

function parse(text: string, path: string): Credentials {
  const mend = 'restore it from a backup, or remove it: new tokens are made at the next start'
  let json: Partial<Record<keyof Credentials, unknown>>
  try {
    json = JSON.parse(text)
  } catch {
    throw new CredentialsError(`CREDENTIALS_DAMAGED: ${path} is not JSON; ${mend}`)
  }
  const { service, admin, tenants, nodes } = json
  if (typeof service !== 'string' || typeof admin !== 'string') {
    throw new CredentialsError(`CREDENTIALS_DAMAGED: ${path} lacks service or admin; ${mend}`)
  }
  if (!isTokenMap(tenants) || !isTokenMap(nodes)) {
    throw new CredentialsError(`CREDENTIALS_DAMAGED: ${path} has a damaged token table; ${mend}`)
  }
  return { service, admin, tenants, nodes }
}

/** Puts the tokens in place. False when others are there where none were known. */
function save(path: string, credentials: Credentials, isNew: boolean): boolean {
  const temporary = `${path}.${process.pid}.tmp`
  writeFileSync(temporary, `${JSON.stringify(credentials, undefined, 2)}\n`, { mode: 0o600 })
  chmodSync(temporary, 0o600)
  if (!isNew) {
    renameSync(temporary, path)
    return true
  }
  // Processes that start at the same time on one directory must agree on the tokens.
  try {
    linkSync(temporary, path)
    return true
  } catch (error) {
    if (!existsSync(path)) throw error
    return false
  } finally {
    rmSync(temporary, { force: true })
  }
}

/**
 * Reads the tokens of a data directory, and makes those that are missing for the wanted tenants and
 * nodes. The file is readable by its owner only.
 * @throws {CredentialsError}
 */
export function openCredentials(init: {
  dataDir: string
  randomness: Randomness
  tenants: readonly string[]
  nodes: readonly string[]
}): Credentials {
  const path = join(init.dataDir, FILE)
  const fresh = () => Buffer.from(init.randomness.bytes(24)).toString('base64url')
  const known = existsSync(path) ? parse(readFileSync(path, 'utf8'), path) : undefined
  const fill = (names: readonly string[], have: Readonly<Record<string, string>> = {}) => ({
    ...Object.fromEntries(names.map((name) => [name, fresh()])),
    ...have,
  })
  const credentials: Credentials = {
    service: known?.service ?? fresh(),
    admin: known?.admin ?? fresh(),
    tenants: fill(init.tenants, known?.tenants),
    nodes: fill(init.nodes, known?.nodes),
  }
  if (JSON.stringify(known) === JSON.stringify(credentials)) return credentials
  return save(path, credentials, known === undefined) ? credentials : openCredentials(init)
}

/** Whom each token stands for. */
export function authenticateWith(credentials: Credentials): Authenticate {
  return staticTokens([...userTokens(credentials), ...machineTokens(credentials)])
}

/**
 * Whom each token of a user stands for. With mutual TLS services and nodes prove themselves by
 * certificates alone: their tokens are nobody's.
 */
export function authenticateUsersWith(credentials: Credentials): Authenticate {
  return staticTokens(userTokens(credentials))
}

type TokenEntry = { readonly token: string; readonly principal: Principal }

const userTokens = ({ admin, tenants }: Credentials): readonly TokenEntry[] => [
  { token: admin, principal: { subject: 'admin', tenant: '', roles: ['admin'] } },
  ...Object.entries(tenants).map(([tenant, token]) => ({
    token,
    principal: { subject: `token:${tenant}`, tenant, roles: ['tenant'] },
  })),
]

const machineTokens = ({ service, nodes }: Credentials): readonly TokenEntry[] => [
  { token: service, principal: { subject: 'service', tenant: '', roles: ['service'] } },
  ...Object.entries(nodes).map(([node, token]) => ({
    token,
    principal: { subject: `node:${node}`, tenant: '', roles: ['agent'] },
  })),
]
