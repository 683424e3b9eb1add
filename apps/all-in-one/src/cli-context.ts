import { chmodSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Credentials } from '@serverless-ai/hosting'

/**
 * Writes `cli.json`: where the platform is and the identities that `sai --as NAME` may take.
 * Readable by its owner only.
 */
export function writeCliContext(init: {
  dataDir: string
  address: string
  /** Where callers go. */
  edge: string | undefined
  credentials: Credentials
}): void {
  const { dataDir, address, edge, credentials } = init
  const tenants = Object.entries(credentials.tenants)
  const contexts = [
    ...tenants.map(([tenant, token]) => ({ name: tenant, tenant, token })),
    { name: 'admin', tenant: '', token: credentials.admin },
  ]
  const path = join(dataDir, 'cli.json')
  const temporary = `${path}.tmp`
  const current = tenants[0]?.[0] ?? 'admin'
  writeFileSync(
    temporary,
    `${JSON.stringify({ address, edge, current, contexts }, undefined, 2)}\n`,
    {
      mode: 0o600,
    },
  )
  chmodSync(temporary, 0o600)
  renameSync(temporary, path)
}
