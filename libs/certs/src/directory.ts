import { X509Certificate } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatIdentity, type Identity, identityOf } from '@serverless-ai/rpc'
import { issueCertificate, type KeyPairPem, makeAuthority, prolongAuthority } from './authority.ts'

/** The directory cannot be used. The message names the file and the mend. */
export class CertsError extends Error {
  override readonly name = 'CertsError'
  readonly code: 'CA_EXISTS' | 'CA_MISSING' | 'CA_DAMAGED' | 'CA_EXPIRED'
  constructor(code: CertsError['code'], message: string) {
    super(message)
    this.code = code
  }
}

const DAY_MS = 86_400_000
/** Certificates are valid from a little earlier on: clocks differ. */
const BACKDATE_MS = 300_000

/** What a certificate of the directory says. */
export interface CertificateInfo {
  readonly file: string
  /** SPIFFE ID; empty for the authority. */
  readonly identity: string
  readonly notBefore: string
  readonly notAfter: string
  /** Whole days left, negative = over. */
  readonly daysLeft: number
  /** SHA-256 of the certificate. */
  readonly fingerprint: string
}

/** Replaces a file in one step; a reader sees the old content or the new one. */
async function put(path: string, text: string, mode: number): Promise<void> {
  const temporary = `${path}.tmp`
  await writeFile(temporary, text, { mode })
  await chmod(temporary, mode)
  await rename(temporary, path)
}

async function putPair(base: string, pair: KeyPairPem): Promise<void> {
  await put(`${base}.key`, pair.key, 0o600)
  await put(`${base}.crt`, pair.cert, 0o644)
}

async function readMaybe(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** File name without its ending: `service-scheduler`, `node-n1`, `user-team-a`. */
export const fileBaseOf = ({ kind, name }: Pick<Identity, 'kind' | 'name'>): string =>
  `${kind}-${name}`

const validFor = (nowMs: number, days: number) => ({
  notBeforeMs: nowMs - BACKDATE_MS,
  notAfterMs: nowMs + days * DAY_MS,
})

/**
 * Makes an authority in `directory` (made with mode 0700): `ca.crt` and `ca.key`.
 *
 * @throws {CertsError} `CA_EXISTS`: another one would make all certificates of the first worthless
 */
export async function initAuthority(init: {
  readonly directory: string
  readonly days: number
  readonly nowMs: number
}): Promise<CertificateInfo> {
  const { directory, days, nowMs } = init
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const base = join(directory, 'ca')
  if ((await readMaybe(`${base}.key`)) !== undefined) {
    const message = `${base}.key exists already; remove the directory to begin anew`
    throw new CertsError('CA_EXISTS', message)
  }
  const pair = await makeAuthority('serverless-ai development CA', validFor(nowMs, days))
  await putPair(base, pair)
  return infoOf(`${base}.crt`, pair.cert, nowMs)
}

/**
 * Gives the authority of `directory` another `days` from now on, also one that is over. Its name
 * and its key stay, so what it has issued stays good: only `ca.crt` goes to those who trust it.
 *
 * @throws {CertsError} `CA_MISSING`, `CA_DAMAGED`
 */
export async function renewAuthority(init: {
  readonly directory: string
  readonly days: number
  readonly nowMs: number
}): Promise<CertificateInfo> {
  const { directory, days, nowMs } = init
  const pair = await prolongAuthority(await readAuthority(directory), validFor(nowMs, days))
  const file = join(directory, 'ca.crt')
  await put(file, pair.cert, 0o644)
  return infoOf(file, pair.cert, nowMs)
}

/** @throws {CertsError} `CA_MISSING`, `CA_DAMAGED`; `CA_EXPIRED` where `nowMs` is given */
async function readAuthority(directory: string, nowMs?: number): Promise<KeyPairPem> {
  const [cert, key] = await Promise.all([
    readMaybe(join(directory, 'ca.crt')),
    readMaybe(join(directory, 'ca.key')),
  ])
  if (cert === undefined || key === undefined) {
    const message = `${directory} has no ca.crt and ca.key; make them with sai admin certs init`
    throw new CertsError('CA_MISSING', message)
  }
  let validTo: string
  try {
    ;({ validTo } = new X509Certificate(cert))
  } catch {
    throw new CertsError('CA_DAMAGED', `${directory}/ca.crt is no certificate; restore it`)
  }
  if (nowMs !== undefined && Date.parse(validTo) <= nowMs) {
    const message = `${directory}/ca.crt is over since ${validTo}; make a new directory with init`
    throw new CertsError('CA_EXPIRED', message)
  }
  return { cert, key }
}

/**
 * Makes a new key and certificate for an identity and replaces earlier ones of it: this is how a
 * certificate is renewed. It ends no later than the authority's own.
 *
 * @throws {CertsError} `CA_MISSING`, `CA_DAMAGED`, `CA_EXPIRED`
 */
export async function issue(init: {
  readonly directory: string
  readonly identity: Identity
  readonly days: number
  readonly nowMs: number
}): Promise<CertificateInfo> {
  const { directory, identity, days, nowMs } = init
  const authority = await readAuthority(directory, nowMs)
  const wanted = validFor(nowMs, days)
  const caEndMs = Date.parse(new X509Certificate(authority.cert).validTo)
  const validity = { ...wanted, notAfterMs: Math.min(wanted.notAfterMs, caEndMs) }
  const pair = await issueCertificate(authority, identity, validity)
  const base = join(directory, fileBaseOf(identity))
  await putPair(base, pair)
  return infoOf(`${base}.crt`, pair.cert, nowMs)
}

function infoOf(file: string, pem: string, nowMs: number): CertificateInfo {
  const { subjectAltName, validFrom, validTo, fingerprint256 } = new X509Certificate(pem)
  const identity = identityOf(subjectAltName)
  return {
    file,
    identity: identity === undefined ? '' : formatIdentity(identity),
    notBefore: new Date(validFrom).toISOString(),
    notAfter: new Date(validTo).toISOString(),
    daysLeft: Math.floor((Date.parse(validTo) - nowMs) / DAY_MS),
    fingerprint: fingerprint256,
  }
}

/**
 * All certificates of the directory, the authority's first.
 *
 * @throws {CertsError} `CA_MISSING` when there is no authority
 */
export async function listCertificates(
  directory: string,
  nowMs: number,
): Promise<readonly CertificateInfo[]> {
  const ca = join(directory, 'ca.crt')
  if ((await readMaybe(ca)) === undefined) {
    const message = `${directory} has no ca.crt; make one with sai admin certs init`
    throw new CertsError('CA_MISSING', message)
  }
  const names = (await readdir(directory)).filter((name) => name.endsWith('.crt')).sort()
  const others = names.filter((name) => name !== 'ca.crt').map((name) => join(directory, name))
  const read = async (file: string) => infoOf(file, await readFile(file, 'utf8'), nowMs)
  return Promise.all([ca, ...others].map(read))
}
