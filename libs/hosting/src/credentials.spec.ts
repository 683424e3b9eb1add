import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemRandomness } from '@serverless-ai/kernel/system'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { authenticateWith, openCredentials } from './credentials.ts'

let dataDir = ''
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'sai-credentials-'))
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

const open = (tenants: readonly string[], nodes: readonly string[]) =>
  openCredentials({ dataDir, randomness: systemRandomness, tenants, nodes })

describe('tokens of a data directory', () => {
  it('are made once, kept, and readable by their owner only', () => {
    const first = open(['team-a'], ['n1'])
    expect(open(['team-a'], ['n1'])).toEqual(first)
    expect(statSync(join(dataDir, 'tokens.json')).mode & 0o777).toBe(0o600)
  })

  it('are those of whoever was first, when processes start at the same time', () => {
    let other: unknown
    const bytes = (length: number) => {
      other ??= open(['team-b'], [])
      return systemRandomness.bytes(length)
    }
    const randomness = { ...systemRandomness, bytes }
    const own = openCredentials({ dataDir, randomness, tenants: ['team-a'], nodes: [] })
    expect(own).toMatchObject({ service: Object(other).service, tenants: Object(other).tenants })
    expect(Object.keys(own.tenants).sort()).toEqual(['team-a', 'team-b'])
  })

  it('grow with new tenants and nodes, old ones keep theirs', () => {
    const first = open(['team-a'], [])
    const second = open(['team-b'], ['n1'])
    expect(second.tenants['team-a']).toBe(first.tenants['team-a'])
    expect(Object.keys(second.tenants).sort()).toEqual(['team-a', 'team-b'])
  })

  it('stand for one identity each', () => {
    const credentials = open(['team-a'], ['n1'])
    const authenticate = authenticateWith(credentials)
    expect(authenticate(credentials.tenants['team-a'] ?? '')).toMatchObject({
      tenant: 'team-a',
      roles: ['tenant'],
    })
    expect(authenticate(credentials.nodes['n1'] ?? '')).toMatchObject({ subject: 'node:n1' })
    expect(authenticate('guess')).toBeUndefined()
  })

  it('a damaged file is an error that names it, and is left as it is', () => {
    const path = join(dataDir, 'tokens.json')
    writeFileSync(path, '{"service":')
    expect(() => open([], [])).toThrow(path)
    expect(readFileSync(path, 'utf8')).toBe('{"service":')
  })
})
