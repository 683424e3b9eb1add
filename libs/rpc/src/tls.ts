import { createSecureContext, type PeerCertificate } from 'node:tls'
import { type ChannelCredentials, credentials, ServerCredentials } from '@grpc/grpc-js'
import type { Principal } from '@serverless-ai/kernel'
import { rpcError } from './error-table.ts'
import { identityOf, principalOf, serverMismatch } from './tls-identity.ts'
import type { TlsMaterial, TlsSource } from './tls-material.ts'

/** Both sides are of this platform: nothing older is needed. */
const MIN_VERSION = 'TLSv1.3'

/** Marks, in the library's text about a failed connection, a server that is somebody else. */
const MISMATCH = 'SERVER_IDENTITY_MISMATCH'

/** Server name of the handshake (RFC 6066 knows no addresses); identities decide, not it. */
export const TLS_SERVER_NAME = 'serverless-ai'

const contextOf = ({ ca, cert, key }: TlsMaterial) => {
  const own = cert === '' ? {} : { cert, key }
  return { ca, ...own, minVersion: MIN_VERSION } as const
}

/** How a server is secured. */
export interface ServerTls {
  readonly source: TlsSource
  /**
   * True: connections without a certificate of the authority are refused. False (default): they are
   * taken, and their calls need a token.
   */
  readonly requireCertificate?: boolean
}

/**
 * Credentials whose material follows its source. Their own class, because the library's cannot ask
 * for a certificate without insisting on it.
 */
export class RotatingServerCredentials extends ServerCredentials {
  readonly #stop: () => void

  constructor({ source, requireCertificate = false }: ServerTls) {
    const rules = { requestCert: true, rejectUnauthorized: requireCertificate }
    super(rules, contextOf(source.current()))
    this.#stop = source.onChange((material) => this.updateSecureContextOptions(contextOf(material)))
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other
  }

  /** Follows no more. */
  stop(): void {
    this.#stop()
  }
}

/** What a certificate says about its bearer, and until when. */
export interface CertifiedCaller {
  readonly principal: Principal
  readonly notAfterMs: number
}

/**
 * The caller by its certificate, which the handshake has verified; undefined without one.
 *
 * Validity is looked at per call: a connection may outlive its certificate, and so may a resumed
 * session.
 *
 * @throws `IDENTITY_UNKNOWN`, `CERTIFICATE_EXPIRED`
 */
export function certifiedCaller(
  certificate: Pick<PeerCertificate, 'subjectaltname' | 'valid_to'> | undefined,
  rules: { readonly trustDomain: string; readonly nowMs: number },
): CertifiedCaller | undefined {
  if (certificate === undefined) return undefined
  const identity = identityOf(certificate.subjectaltname)
  if (identity === undefined || identity.trustDomain !== rules.trustDomain) {
    throw rpcError('IDENTITY_UNKNOWN', { metadata: { trustDomain: rules.trustDomain } })
  }
  const notAfterMs = Date.parse(certificate.valid_to)
  const principal = principalOf(identity)
  // Not `<=`: a date that cannot be read is over as well.
  if (!(notAfterMs > rules.nowMs)) {
    throw rpcError('CERTIFICATE_EXPIRED', { metadata: { subject: principal.subject } })
  }
  return { principal, notAfterMs }
}

/** Credentials of a channel to `server` (undefined: to any service of the trust domain). */
export function channelCredentials(
  material: TlsMaterial,
  server: string | undefined,
): ChannelCredentials {
  const { trustDomain } = material.identity
  return credentials.createFromSecureContext(createSecureContext(contextOf(material)), {
    // By identity, not by host name: services move, and nodes see them under many addresses.
    checkServerIdentity: (_host, { subjectaltname }) => {
      const why = serverMismatch(identityOf(subjectaltname), { trustDomain, server })
      return why === undefined ? undefined : new Error(`${MISMATCH}: ${why}`)
    },
  })
}

/** The error of a connection that failed because the server is somebody else. */
export function mismatchError(text: string) {
  const at = text.indexOf(MISMATCH)
  return at < 0 ? undefined : rpcError('SERVER_IDENTITY_MISMATCH', { message: text.slice(at) })
}
