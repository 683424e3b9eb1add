import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { Clock, Disk, Logger, Timer, Timers } from '@serverless-ai/kernel'
import { rpcError } from './error-table.ts'
import { formatIdentity, type Identity, identityOf } from './tls-identity.ts'

/** Paths of PEM files. */
export interface TlsFiles {
  /** Certificates of the authorities that are trusted, one or more. */
  readonly ca: string
  /** Own certificate, its chain after it. */
  readonly cert: string
  /** Private key of the certificate. */
  readonly key: string
}

/** What a connection is secured with. PEM texts. */
export interface TlsMaterial {
  readonly ca: string
  /** Empty, as the key: none of its own ({@link clientTls}). */
  readonly cert: string
  readonly key: string
  /** Who the certificate stands for. */
  readonly identity: Identity
  /** End of the certificate's validity, ms since 1970. */
  readonly notAfterMs: number
}

/** Material that may be replaced while the process runs. */
export interface TlsSource {
  current(): TlsMaterial
  /** Calls `listener` after each replacement; returns how to stop that. */
  onChange(listener: (material: TlsMaterial) => void): () => void
  /** Replaces it no more. */
  close?(): void
}

/** Files are read again this often, ms: a rotation is in use after so long at most. */
export const TLS_CHECK_MS = 10_000

/** A certificate with less left than this is warned of, ms (3 days). */
const EXPIRES_SOON_MS = 3 * 86_400_000

const MEND = 'sai admin certs init and issue make a usable set'

function invalid(why: string) {
  const message = `TLS_MATERIAL_INVALID: ${why}; ${MEND}`
  return rpcError('TLS_MATERIAL_INVALID', { message })
}

function check<T>(what: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw invalid(`${what} cannot be used: ${error instanceof Error ? error.message : error}`)
  }
}

/**
 * Checks that texts belong together: certificate and key are a pair, the certificate carries an
 * identity and is not over.
 *
 * @throws `TLS_MATERIAL_INVALID`: what is wrong with which file
 */
export function parseTlsMaterial(
  pem: { readonly ca: string; readonly cert: string; readonly key: string },
  files: TlsFiles,
  nowMs: number,
): TlsMaterial {
  check(files.ca, () => new X509Certificate(pem.ca))
  const certificate = check(files.cert, () => new X509Certificate(pem.cert))
  const key = check(files.key, () => createPrivateKey(pem.key))
  if (!certificate.checkPrivateKey(key)) {
    throw invalid(`${files.key} is not the key of ${files.cert}`)
  }
  const identity = identityOf(certificate.subjectAltName)
  if (identity === undefined) {
    throw invalid(`${files.cert} has no identity like spiffe://DOMAIN/service/NAME as its one URI`)
  }
  const notAfterMs = Date.parse(certificate.validTo)
  if (notAfterMs <= nowMs) throw invalid(`${files.cert} is over since ${certificate.validTo}`)
  return { ...pem, identity, notAfterMs }
}

/**
 * Material of a client that lives shortly, from PEM texts, never replaced. Without `cert` and `key`
 * it has no certificate of its own: its calls need a token.
 *
 * @param init.trustDomain domain of the servers' identities, where the client has none itself
 * @throws `TLS_MATERIAL_INVALID`: what is wrong with which file
 */
export function clientTls(init: {
  readonly files: Pick<TlsFiles, 'ca'> & Partial<TlsFiles>
  readonly pem: { readonly ca: string; readonly cert?: string; readonly key?: string }
  readonly trustDomain: string
  readonly nowMs: number
}): TlsSource {
  const { files, pem, trustDomain, nowMs } = init
  const { ca, cert = '', key = '' } = pem
  const identity: Identity = { trustDomain, kind: 'user', name: 'token' }
  let material: TlsMaterial = { ca, cert, key, identity, notAfterMs: Number.POSITIVE_INFINITY }
  if (cert === '' && key === '') check(files.ca, () => new X509Certificate(ca))
  else {
    const paths = { ca: files.ca, cert: files.cert ?? 'cert', key: files.key ?? 'key' }
    material = parseTlsMaterial({ ca, cert, key }, paths, nowMs)
  }
  return { current: () => material, onChange: () => () => undefined }
}

/** What reading the files needs. */
export interface TlsFilesOptions {
  readonly files: TlsFiles
  /** Whom the certificate must stand for. Default: anybody. */
  readonly owner?: Pick<Identity, 'kind' | 'name'> | undefined
  readonly clock: Clock
  readonly timers: Timers
  readonly disk: Disk
  readonly logger: Logger
}

/** Files that are read again and again. See {@link openTlsFiles}. */
class WatchedTlsFiles implements TlsSource {
  readonly #options: TlsFilesOptions
  readonly #listeners = new Set<(material: TlsMaterial) => void>()
  #material: TlsMaterial
  #timer: Timer | undefined
  #problem = ''
  #closed = false

  constructor(options: TlsFilesOptions, material: TlsMaterial) {
    this.#options = options
    this.#material = material
    this.#arm()
  }

  current(): TlsMaterial {
    return this.#material
  }

  onChange(listener: (material: TlsMaterial) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#listeners.clear()
  }

  #arm(): void {
    if (this.#closed) return
    this.#timer = this.#options.timers.after(TLS_CHECK_MS, () => {
      void this.#look().finally(() => this.#arm())
    })
  }

  /** A set that does not fit together yet (half of a rotation) leaves the old one in use. */
  async #look(): Promise<void> {
    try {
      const found = await readTlsFiles(this.#options)
      if (this.#closed) return
      const { ca, cert, key } = this.#material
      if (found.ca !== ca || found.cert !== cert || found.key !== key) this.#replace(found)
      this.#warn(this.#isOverSoon() ? `${this.#options.files.cert} is over soon` : '')
    } catch (error) {
      this.#warn(error instanceof Error ? error.message : String(error))
    }
  }

  #replace(found: TlsMaterial): void {
    this.#material = found
    const until = new Date(found.notAfterMs).toISOString()
    this.#options.logger.log('info', 'certificate replaced', { until })
    for (const listener of [...this.#listeners]) listener(found)
  }

  #isOverSoon(): boolean {
    return this.#material.notAfterMs - this.#options.clock.wallMs() < EXPIRES_SOON_MS
  }

  /** Once per problem. */
  #warn(problem: string): void {
    if (problem !== '' && problem !== this.#problem) {
      this.#options.logger.log('warn', 'TLS files need a look', { problem })
    }
    this.#problem = problem
  }
}

async function readTlsFiles(options: TlsFilesOptions): Promise<TlsMaterial> {
  const { files, owner, disk, clock } = options
  const read = async (path: string): Promise<string> => {
    try {
      return Buffer.from(await disk.read(path)).toString('utf8')
    } catch (error) {
      throw invalid(`${path} cannot be read: ${error instanceof Error ? error.message : error}`)
    }
  }
  const pem = { ca: await read(files.ca), cert: await read(files.cert), key: await read(files.key) }
  const material = parseTlsMaterial(pem, files, clock.wallMs())
  const { identity } = material
  if (owner !== undefined && (identity.kind !== owner.kind || identity.name !== owner.name)) {
    const { trustDomain } = identity
    const [is, want] = [identity, { trustDomain, ...owner }].map(formatIdentity)
    throw invalid(`${files.cert} is of ${is}; ${want} was expected`)
  }
  return material
}

/**
 * Reads the files, and again every {@link TLS_CHECK_MS}: a replaced set is taken for new
 * connections as soon as it fits together; until then, and when it is damaged, the old one stays
 * and a warning is logged.
 *
 * @throws `TLS_MATERIAL_INVALID` when the first read is of no use
 */
export async function openTlsFiles(
  options: TlsFilesOptions,
): Promise<TlsSource & { close(): void }> {
  return new WatchedTlsFiles(options, await readTlsFiles(options))
}
