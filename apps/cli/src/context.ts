import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PlatformClient } from '@serverless-ai/client'
import { loadConfig, secret } from '@serverless-ai/config'
import { clientTls, type TlsSource } from '@serverless-ai/rpc'
import { z } from 'zod'
import { CliError, EXIT } from './exit.ts'
import type { Io } from './io.ts'

/** Options that every command has. */
export interface Globals {
  readonly address?: string
  readonly token?: string
  readonly as?: string
  readonly data?: string
  readonly json?: boolean
}

const settings = z.object({
  address: z.string().optional().describe('gRPC address of the platform'),
  token: secret().optional().describe('bearer token'),
  as: z.string().optional().describe('name of a context of cli.json'),
  data: z.string().optional().describe('data directory of a local platform'),
  tls: z
    .object({
      ca: z.string().optional().describe('PEM file of the authorities to believe'),
      cert: z.string().optional().describe('PEM file of the own certificate, instead of a token'),
      key: z.string().optional().describe('PEM file of its private key'),
      trustDomain: z.string().default('serverless-ai.local').describe('domain of the identities'),
    })
    .prefault({}),
})

const cliFile = z.object({
  address: z.string(),
  edge: z.string().optional(),
  contexts: z.array(z.object({ name: z.string(), tenant: z.string(), token: z.string() })),
  current: z.string(),
})
type CliFile = z.output<typeof cliFile>

/** Where to connect and as whom. */
export interface Connection {
  readonly address: string
  readonly token?: string
  readonly tls?: TlsSource
  /** URL for callers of services and of the REST API, where the platform told it. */
  readonly edge?: string | undefined
  /** Name of the context, empty when address and token were given. */
  readonly context: string
}

const NOT_RUNNING =
  'no platform is known here: start one with `npm start` in the checkout of serverless-ai, ' +
  'or name one with --address HOST:PORT and --token TOKEN (SAI_ADDRESS, SAI_TOKEN)'

function readCliFile(path: string): CliFile {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    throw new CliError('NOT_RUNNING', NOT_RUNNING, EXIT.unreachable)
  }
  try {
    return cliFile.parse(JSON.parse(text))
  } catch {
    const message = `${path} is damaged: restart the platform (npm start) to write it anew`
    throw new CliError('CLI_FILE_DAMAGED', message)
  }
}

/** TLS from `SAI_TLS__CA`, and `SAI_TLS__CERT` with `SAI_TLS__KEY`; without them none. */
function tlsOf(files: z.output<typeof settings>['tls'], nowMs: number): { tls?: TlsSource } {
  const { ca, cert, key, trustDomain } = files
  if (ca === undefined) return {}
  const read = (path: string): string => {
    try {
      return readFileSync(path, 'utf8')
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new CliError('TLS_MATERIAL_INVALID', reason, EXIT.usage)
    }
  }
  const own = cert === undefined || key === undefined ? {} : { cert: read(cert), key: read(key) }
  const named = cert === undefined || key === undefined ? { ca } : { ca, cert, key }
  return { tls: clientTls({ files: named, pem: { ca: read(ca), ...own }, trustDomain, nowMs }) }
}

/**
 * Finds address and token: flags, then SAI_ADDRESS and SAI_TOKEN, then the file a local platform
 * writes into its data directory (`.sai` of the checkout, or --data DIR, SAI_DATA).
 *
 * @param prefer context to take when none was asked for
 */
export function resolveConnection(init: {
  globals: Globals
  io: Pick<Io, 'env' | 'clock'>
  checkout: string
  prefer?: string
}): Connection {
  const { globals, io, checkout, prefer } = init
  const config = loadConfig(settings, { env: io.env })
  const address = globals.address ?? config.address
  const token = globals.token ?? config.token
  const secured = tlsOf(config.tls, io.clock.wallMs())
  if (address !== undefined && token !== undefined) {
    return { address, token, context: '', ...secured }
  }
  // A certificate says who calls.
  if (address !== undefined && config.tls.cert !== undefined) {
    return { address, context: '', ...secured }
  }
  const file = readCliFile(join(globals.data ?? config.data ?? join(checkout, '.sai'), 'cli.json'))
  const asked = globals.as ?? config.as
  const has = (name: string | undefined) => file.contexts.find((known) => known.name === name)
  const context = asked === undefined ? (has(prefer) ?? has(file.current)) : has(asked)
  if (context === undefined) {
    const known = file.contexts.map(({ name }) => name).join(', ')
    throw new CliError(
      'UNKNOWN_CONTEXT',
      `there is no context ${asked ?? file.current}; known: ${known}`,
    )
  }
  return {
    address: address ?? file.address,
    token: token ?? context.token,
    ...(address === undefined && { edge: file.edge }),
    context: context.name,
    ...secured,
  }
}

/** Connects, works, closes. */
export async function withPlatform<T>(
  io: Io,
  connection: Connection,
  work: (platform: PlatformClient) => Promise<T>,
): Promise<T> {
  const { address, token, tls } = connection
  const secured = tls === undefined ? { address } : { address, tls }
  await using platform = io.connect(token === undefined ? secured : { ...secured, token })
  return await work(platform)
}
