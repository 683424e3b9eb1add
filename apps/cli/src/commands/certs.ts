import { resolve } from 'node:path'
import type { CertificateInfo } from '@serverless-ai/certs'
import { formatIdentity, type Identity, parseIdentity } from '@serverless-ai/rpc'
import { type Command, Option } from 'commander'
import { CliError, EXIT } from '../exit.ts'
import { table } from '../output/text.ts'
import { answer, type CommandScope, wholeNumber } from './shared.ts'

const CA_DAYS = 3_650
const DAYS = 90

/** Most days of a certificate: nothing revokes one, so it must end by itself. */
const DAYS_MAX = 825

interface CertsOptions {
  readonly dir: string
  readonly json?: boolean
}

/** Loaded by these commands alone: no other should pay for it at its start. */
const library = () => import('@serverless-ai/certs')

/** Runs `work`; what its user can mend becomes a {@link CliError}. */
async function withLibrary<T>(
  work: (certs: Awaited<ReturnType<typeof library>>) => Promise<T>,
): Promise<T> {
  const certs = await library()
  try {
    return await work(certs)
  } catch (error) {
    if (error instanceof certs.CertsError) throw new CliError(error.code, error.message)
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    // Of the file system: its sentence names the path.
    if (error instanceof Error && typeof code === 'string' && /^E[A-Z]+$/.test(code)) {
      throw new CliError('CERTS_DIRECTORY_UNUSABLE', error.message)
    }
    throw error
  }
}

function identityFrom(text: string, trustDomain: string): Identity {
  const uri = `spiffe://${trustDomain}/${text}`
  const identity = parseIdentity(uri)
  if (identity !== undefined && formatIdentity(identity) === uri) return identity
  const message =
    `${uri} is no identity: name it service/NAME, node/NODE_ID or user/TENANT, and the trust ` +
    'domain like a DNS name in lower case'
  throw new CliError('IDENTITY_INVALID', message, EXIT.usage)
}

function certificateTable(infos: readonly CertificateInfo[]): string {
  const rows = infos.map(({ identity, notAfter, daysLeft, file }) => [
    identity || '(authority)',
    notAfter.slice(0, 10),
    daysLeft < 0 ? 'over' : String(daysLeft),
    file,
  ])
  return table([['IDENTITY', 'UNTIL', 'DAYS LEFT', 'FILE'], ...rows])
}

const withDirectory = (command: Command): Command =>
  command
    .option('--json', 'machine-readable output')
    .addOption(new Option('--dir <dir>', 'directory of the authority').default('certs'))

/** `sai admin certs init|issue|show`: a certificate authority for development. */
export function addCerts(admin: Command, { io }: CommandScope): void {
  const certs = admin
    .command('certs')
    .description('a certificate authority for development: mutual TLS of services and nodes')
  const tell = (options: CertsOptions, infos: readonly CertificateInfo[]) =>
    answer(io, options, { json: { certificates: infos }, text: () => certificateTable(infos) })
  const directoryOf = ({ dir }: CertsOptions) => resolve(io.cwd, dir)

  withDirectory(certs.command('init'))
    .description('make the authority: ca.crt, and ca.key (mode 0600)')
    .option('--days <n>', 'days it is valid', wholeNumber('--days', 1, 36_500), CA_DAYS)
    .action(async (options: CertsOptions & { days: number }) => {
      const init = { directory: directoryOf(options), days: options.days, nowMs: io.clock.wallMs() }
      tell(options, [await withLibrary(({ initAuthority }) => initAuthority(init))])
    })

  withDirectory(certs.command('issue'))
    .description('make, or renew, certificate and key (mode 0600) of each identity')
    .argument('<identity...>', 'service/NAME, node/NODE_ID or user/TENANT')
    .option('--trust-domain <name>', 'domain of the identities', 'serverless-ai.local')
    .option('--days <n>', 'days it is valid', wholeNumber('--days', 1, DAYS_MAX), DAYS)
    .action(
      async (
        texts: readonly string[],
        options: CertsOptions & { days: number; trustDomain: string },
      ) => {
        const identities = texts.map((text) => identityFrom(text, options.trustDomain))
        const base = { directory: directoryOf(options), days: options.days }
        const made: CertificateInfo[] = []
        for (const identity of identities) {
          const init = { ...base, identity, nowMs: io.clock.wallMs() }
          made.push(await withLibrary(({ issue }) => issue(init)))
        }
        tell(options, made)
      },
    )

  withDirectory(certs.command('show'))
    .description('list the certificates and how long they are valid')
    .action(async (options: CertsOptions) => {
      const nowMs = io.clock.wallMs()
      const list = await withLibrary(({ listCertificates }) =>
        listCertificates(directoryOf(options), nowMs),
      )
      tell(options, list)
    })
}
