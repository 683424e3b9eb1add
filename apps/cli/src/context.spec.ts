import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { issueCertificate, makeAuthority } from '@serverless-ai/certs'
import { systemClock } from '@serverless-ai/kernel/system'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { resolveConnection } from './context.ts'

const DAY_MS = 86_400_000

describe('a platform with TLS', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sai-context-'))
  const path = (name: string): string => join(directory, name)
  beforeAll(async () => {
    const validity = { notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS }
    const authority = await makeAuthority('of a test', validity)
    const identity = { trustDomain: 'cell.test', kind: 'user', name: 'team-a' } as const
    const { cert, key } = await issueCertificate(authority, identity, validity)
    writeFileSync(path('ca.crt'), authority.cert)
    writeFileSync(path('user.crt'), cert)
    writeFileSync(path('user.key'), key)
  })
  afterAll(() => rmSync(directory, { recursive: true }))

  const resolve = (env: Readonly<Record<string, string>>, token?: string) => {
    const globals = { address: 'a:1', ...(token !== undefined && { token }) }
    return resolveConnection({ globals, io: { env, clock: systemClock }, checkout: directory })
  }

  it('is believed by its authority, and told a token', () => {
    const { token, tls } = resolve({ SAI_TLS__CA: path('ca.crt') }, 'secret')
    expect(token).toBe('secret')
    expect(tls?.current()).toMatchObject({
      cert: '',
      identity: { trustDomain: 'serverless-ai.local' },
    })
  })

  it('is shown a certificate instead of a token', () => {
    const { token, tls } = resolve({
      SAI_TLS__CA: path('ca.crt'),
      SAI_TLS__CERT: path('user.crt'),
      SAI_TLS__KEY: path('user.key'),
    })
    expect(token).toBeUndefined()
    expect(tls?.current().identity).toMatchObject({ trustDomain: 'cell.test', name: 'team-a' })
  })

  it('says which file is missing, and which is none', () => {
    expect(() => resolve({ SAI_TLS__CA: path('none.crt') }, 't')).toThrow('none.crt')
    expect(() => resolve({ SAI_TLS__CA: path('user.key') }, 't')).toThrow('user.key')
  })
})
