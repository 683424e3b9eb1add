// The library's own dependency needs it before it is loaded.
import 'reflect-metadata'
import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonName,
  KeyUsageFlags,
  KeyUsagesExtension,
  type Name,
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
  const cert = await signItself([{ CN: [name] }], keys, validity)
  return { cert, key: await keyPem(keys.privateKey) }
}

async function signItself(
  name: Name | JsonName,
  keys: webcrypto.CryptoKeyPair,
  validity: Validity,
): Promise<string> {
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name,
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
  return certPem(certificate)
}

/**
 * The authority with another validity: its name and its key stay, so what it has signed is trusted
 * by the new certificate, and what it signs from now on by the old one, for as long as that lasts.
 */
export async function prolongAuthority(
  authority: KeyPairPem,
  validity: Validity,
): Promise<KeyPairPem> {
  const old = new X509Certificate(authority.cert)
  const privateKey = await signingKey(authority.key)
  const publicKey = await old.publicKey.export(ALGORITHM, ['verify'])
  const cert = await signItself(old.subjectName, { privateKey, publicKey }, validity)
  return { cert, key: authority.key }
}

/** A name of a subject's certificate. */
type AlternativeName = Readonly<{ type: 'url' | 'dns' | 'ip'; value: string }>

/** Makes a key and a certificate for both ends of connections. */
async function issueFor(
  authority: KeyPairPem,
  subject: { readonly commonName: string; readonly names: readonly AlternativeName[] },
  validity: Validity,
): Promise<KeyPairPem> {
  const issuer = new X509Certificate(authority.cert)
  const keys = await makeKeys()
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: [{ CN: [subject.commonName] }],
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
      new SubjectAlternativeNameExtension([...subject.names]),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  })
  return { cert: certPem(certificate), key: await keyPem(keys.privateKey) }
}

/** Makes a key and a certificate for an identity: for both ends of connections, SAN = the URI. */
export function issueCertificate(
  authority: KeyPairPem,
  identity: Identity,
  validity: Validity,
): Promise<KeyPairPem> {
  const commonName = `${identity.kind}/${identity.name}`
  const names = [{ type: 'url', value: formatIdentity(identity) }] as const
  return issueFor(authority, { commonName, names }, validity)
}

/**
 * Makes a key and a certificate for a program of somebody else that is known by its hosts, such as
 * a Kafka broker: SAN = DNS names and addresses.
 *
 * @param commonName name of the subject, by which brokers know each other
 */
export function issueHostCertificate(
  authority: KeyPairPem,
  subject: { readonly commonName: string; readonly hosts: readonly string[] },
  validity: Validity,
): Promise<KeyPairPem> {
  const { commonName, hosts } = subject
  const names = hosts.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }) as const)
  return issueFor(authority, { commonName, names }, validity)
}
