import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemTimers } from '@serverless-ai/kernel/system'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isLocked, lockDirectory } from '../../adapters/os/lock.ts'
import { lookupCommand } from '../../adapters/os/lookup.ts'
import { isPortFree, probePorts } from '../../adapters/os/port-probe.ts'
import { tenantUid } from '../machine/tenants.ts'
import { resolveWorkRoot } from './work-root.ts'

let dir: string
const root = process.getuid?.() === 0

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sai-local-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

describe('a directory lock', () => {
  it('keeps a second holder out until it is released, by any path to the directory', async () => {
    const lock = await lockDirectory(dir, 'test')
    expect(lock).toBeDefined()
    expect(
      await lockDirectory(join(dir, '..', dir.split('/').at(-1) ?? ''), 'test'),
    ).toBeUndefined()
    expect(await isLocked(dir, 'test')).toBe(true)
    expect(await isLocked(dir, 'another purpose')).toBe(false)
    await lock?.release()
    expect(await isLocked(dir, 'test')).toBe(false)
  })
})

it('tenant uids are the same for everybody who asks at the same time', async () => {
  const config = { uidFile: join(dir, 'uids.json'), uidBase: 200_000, uidSize: 50 }
  const names = Array.from({ length: 40 }, (_, i) => `t${i % 20}`)
  const uids = await Promise.all(names.map((name) => tenantUid(systemTimers, config, name)))
  expect(new Set(uids).size).toBe(20)
  expect(uids.slice(0, 20)).toEqual(uids.slice(20))
})

describe('ports', () => {
  it('are taken when somebody listens on any address', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    expect(await isPortFree(port)).toBe(false)
    expect((await probePorts(port, port))[0]).toBe(false)
    server.close()
  })
})

describe('the work root', () => {
  it('is in the data directory when users can reach it', () => {
    chmodSync(dir, 0o755)
    const found = resolveWorkRoot(dir)
    expect(found.workDir).toBe(join(dir, 'work'))
    expect(found.checkpointDir).toBe(join(dir, 'work', 'checkpoints'))
  })

  it.runIf(root)('is a temporary directory when they cannot, with a Node that they can run', () => {
    const data = join(dir, 'home', 'data')
    mkdirSync(data, { recursive: true })
    chmodSync(join(dir, 'home'), 0o700)
    const found = resolveWorkRoot(data)
    expect(found.workDir).toMatch(/serverless-ai-[0-9a-f]{12}$/)
    expect(found.notice).toContain(found.workDir)
    expect(statSync(found.workDir).mode & 0o777).toBe(0o711)
    expect(resolveWorkRoot(data)).toEqual(found)
    const node = join(found.nodeBinDir, 'node')
    const output = execFileSync(node, ['-p', 'process.getuid()'], {
      uid: 200_001,
      gid: 200_001,
      cwd: '/',
      encoding: 'utf8',
    })
    expect(output).toBe('200001\n')
    rmSync(found.workDir, { recursive: true })
  })
})

describe('a command', () => {
  it.runIf(root)('that the user may not reach is not found, and the message says so', () => {
    const hidden = join(dir, 'bin')
    mkdirSync(hidden, { mode: 0o755 })
    execFileSync('cp', ['/bin/true', join(hidden, 'tool')])
    const find = () => lookupCommand({ command: 'tool', path: hidden, cwd: '/', uid: 200_001 })
    chmodSync(dir, 0o711)
    expect(find()).toMatchObject({ ok: true })
    chmodSync(dir, 0o700)
    const found = find()
    expect(found).toMatchObject({ ok: false })
    expect(found.ok ? '' : found.why).toContain(`${hidden}/tool exists, but`)
  })
})
