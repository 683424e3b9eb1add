// The library's own dependency needs it before it is loaded.
import 'reflect-metadata'
import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { formatIdentity, type Identity } from '@serverless-ai/rpc'

/** A certificate and its private key, PEM (PKCS #8). */
export interface KeyPairPem {
  readonly cert: string
  readonly key: string
}

/** From when to when, ms since 1970. */
export interface Validity {
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** ECDSA P-256 with SHA-256, which every TLS 1.3 stack must know (RFC 8446, 9.1). */
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** Positive and of 128 bits of chance: RFC 5280 asks for a positive number below 20 octets. */
const serial = (): string => `01${randomBytes(16).toString('hex')}`

const makeKeys = () => webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])

async function keyPem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key))
  const options = { key: der, format: 'der', type: 'pkcs8' } as const
  return createPrivateKey(options).export({ type: 'pkcs8', format: 'pem' }).toString()
}

async function signingKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' })
  return webcrypto.subtle.importKey('pkcs8', new Uint8Array(der), ALGORITHM, false, ['sign'])
}

const certPem = (certificate: X509Certificate): string => `${certificate.toString('pem')}\n`

/**
 * Makes a certificate authority that signs itself. It may sign end certificates only.
 *
 * @param name common name, for people
 */
export async function makeAuthority(name: string, validity: Validity): Promise<KeyPairPem> {
  const keys = await makeKeys()
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: [{ CN: [name] }],
    notBefore: new Date(validity.notBeforeMs),
    notAfter: new Date(validity.notAfterMs),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { cert: certPem(certificate), key: await keyPem(keys.privateKey) }
}

/** Makes a key and a certificate for an identity: for both ends of connections, SAN = the URI. */
export async function issueCertificate(
  authority: KeyPairPem,
  identity: Identity,
  validity: Validity,
): Promise<KeyPairPem> {
  const issuer = new X509Certificate(authority.cert)
  const keys = await makeKeys()
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: [{ CN: [`${identity.kind}/${identity.name}`] }],
    issuer: issuer.subject,
    notBefore: new Date(validity.notBeforeMs),
    notAfter: new Date(validity.notAfterMs),
    publicKey: keys.publicKey,
    signingKey: await signingKey(authority.key),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension([{ type: 'url', value: formatIdentity(identity) }]),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  })
  return { cert: certPem(certificate), key: await keyPem(keys.privateKey) }
}
