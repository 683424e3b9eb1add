// Certificates and ACLs of test clusters.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { issueHostCertificate, makeAuthority } from '@serverless-ai/certs'
import type { BrokerTls } from './kafka-settings.ts'

/** A user that proves itself by SCRAM. */
export interface ScramUser {
  readonly name: string
  readonly password: string
}

const DAY_MS = 86_400_000

/** An authority and one certificate for all brokers of a cluster, by which they know each other. */
export async function makeClusterTls(
  directory: string,
  hosts: readonly string[],
): Promise<BrokerTls & { readonly ca: string }> {
  const nowMs = Date.now()
  const validity = { notBeforeMs: nowMs - DAY_MS, notAfterMs: nowMs + DAY_MS }
  const authority = await makeAuthority('kafka of a test', validity)
  const subject = { commonName: 'kafka-broker', hosts }
  const { cert, key } = await issueHostCertificate(authority, subject, validity)
  const [keystore, truststore] = [join(directory, 'keystore.pem'), join(directory, 'ca.pem')]
  writeFileSync(keystore, `${key}${cert}${authority.cert}`, { mode: 0o600 })
  writeFileSync(truststore, authority.cert)
  return { keystore, truststore, ca: authority.cert }
}
