import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ConfigError } from './error.ts'
import { loadConfig, printConfig, secret } from './load.ts'

const schema = z.object({
  port: z.number().int().min(1).max(65_535).default(7070).describe('gRPC port'),
  dataDir: z.string().default('.sai'),
  insecureDev: z.boolean().default(false),
  adminToken: secret().optional(),
  peers: z.array(z.string()).default([]),
  lease: z.object({ durationMs: z.number().int().positive().default(15_000) }),
})

const dir = mkdtempSync(join(tmpdir(), 'sai-config-'))
afterAll(() => rmSync(dir, { recursive: true }))
const file = (text: string) => {
  const path = join(dir, `c${Math.random()}.yaml`)
  writeFileSync(path, text)
  return path
}
const problems = (run: () => unknown) => {
  try {
    run()
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  throw new Error('accepted')
}

describe('loadConfig', () => {
  it('lets flags win over the environment, that over the file, that over the defaults', () => {
    const path = file('port: 2\ndataDir: from-file\nlease: { durationMs: 2000 }\n')
    const env = { SAI_PORT: '3', SAI_LEASE__DURATION_MS: '3000', OTHER: 'x' }
    const defaults = { port: 1, dataDir: 'from-defaults', peers: ['a'] }
    const config = loadConfig(schema, { defaults, file: path, env, argv: ['--port=4'] })
    expect(config).toEqual({
      port: 4,
      dataDir: 'from-file',
      insecureDev: false,
      peers: ['a'],
      lease: { durationMs: 3000 },
    })
  })

  it('fills defaults, nested ones too, and freezes everything', () => {
    const config = loadConfig(schema, {})
    expect(config.lease.durationMs).toBe(15_000)
    expect(Object.isFrozen(config)).toBe(true)
    expect(Object.isFrozen(config.lease)).toBe(true)
  })

  it('reads booleans, their negation, lists and nested flags', () => {
    const argv = ['--insecure-dev', '--peers', 'a, b', '--lease.duration-ms', '7']
    expect(loadConfig(schema, { argv })).toMatchObject({
      insecureDev: true,
      peers: ['a', 'b'],
      lease: { durationMs: 7 },
    })
    const env = { SAI_INSECURE_DEV: 'true' }
    expect(loadConfig(schema, { env, argv: ['--no-insecure-dev'] }).insecureDev).toBe(false)
  })

  it('takes the file that --config names', () => {
    expect(loadConfig(schema, { argv: ['--config', file('port: 99')] }).port).toBe(99)
  })

  it('refuses unknown keys everywhere and says what was meant', () => {
    const argv = problems(() => loadConfig(schema, { argv: ['--prot', '1'] }))
    expect(argv[0]).toMatchObject({ code: 'CONFIG_UNKNOWN_KEY', mend: 'Did you mean --port?' })
    const path = file('lease:\n  durationMS: 3\n')
    const found = problems(() => loadConfig(schema, { file: path }))
    expect(found[0]).toMatchObject({ code: 'CONFIG_UNKNOWN_KEY', where: path })
    expect(found[0]?.mend).toContain('lease.durationMs')
    const env = problems(() => loadConfig(schema, { env: { SAI_PORTT: '1' } }))
    expect(env[0]?.mend).toBe('Did you mean SAI_PORT?')
    expect(loadConfig(schema, { env: { SAI_REPORT: '/x' } }).port).toBe(7070)
  })

  it('names every wrong value with its place', () => {
    const found = problems(() =>
      loadConfig(schema, { env: { SAI_PORT: '70000' }, argv: ['--lease.duration-ms', '-1'] }),
    )
    expect(found.map((p) => p.where).sort()).toEqual(['SAI_PORT', 'flag --lease.duration-ms'])
    const text = problems(() => loadConfig(schema, { env: { SAI_PORT: '12x' } }))
    expect(text[0]?.what).toContain('not a number')
    expect(problems(() => loadConfig(schema, { argv: ['--port'] }))[0]?.code).toBe(
      'CONFIG_BAD_FLAG',
    )
  })

  it('names an unreadable or broken file', () => {
    const missing = problems(() => loadConfig(schema, { file: join(dir, 'none.yaml') }))
    expect(missing[0]?.code).toBe('CONFIG_FILE_UNREADABLE')
    const broken = problems(() => loadConfig(schema, { file: file('port: [1') }))
    expect(broken[0]?.code).toBe('CONFIG_FILE_SYNTAX')
    const twice = problems(() => loadConfig(schema, { file: file('port: 1\nport: 2\n') }))
    expect(twice[0]?.code).toBe('CONFIG_FILE_SYNTAX')
  })

  it('never shows a secret', () => {
    const config = loadConfig(schema, { env: { SAI_ADMIN_TOKEN: 'hush' } })
    expect(config.adminToken).toBe('hush')
    const printed = printConfig(schema, config)
    expect(printed).not.toContain('hush')
    expect(printed).toContain('"adminToken": "***"')
    expect(printed).toContain('"port": 7070')
  })
})
