import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type Disk, DiskError } from '../ports.ts'
import { memoryDisk } from '../testing/index.ts'
import { systemClock, systemDisk, systemRandomness, systemTimers } from './index.ts'

const root = mkdtempSync(join(tmpdir(), 'kernel-'))
afterAll(() => rmSync(root, { recursive: true }))

const openMemory = async (): Promise<{ disk: Disk; at: string }> => {
  const disk = memoryDisk()
  await disk.makeDirectory('/at')
  return { disk, at: '/at' }
}
const openSystem = async (): Promise<{ disk: Disk; at: string }> => {
  return { disk: systemDisk, at: mkdtempSync(join(root, 'disk-')) }
}

describe.each([
  ['system', openSystem],
  ['memory', openMemory],
])('disk contract: %s', (_name, open) => {
  it('reads what was written and appended', async () => {
    const { disk, at } = await open()
    await disk.writeAtomic(`${at}/f`, Buffer.from('one'))
    await disk.append(`${at}/f`, Buffer.from(' two'), { sync: true })
    await disk.append(`${at}/g`, Buffer.from('new'))
    expect(Buffer.from(await disk.read(`${at}/f`)).toString()).toBe('one two')
    await disk.writeAtomic(`${at}/f`, Buffer.from('three'))
    expect(Buffer.from(await disk.read(`${at}/f`)).toString()).toBe('three')
    expect(await disk.list(at)).toEqual([
      { name: 'f', kind: 'file', bytes: 5 },
      { name: 'g', kind: 'file', bytes: 3 },
    ])
  })

  it('makes and removes trees; removing what is missing is no error', async () => {
    const { disk, at } = await open()
    await disk.makeDirectory(`${at}/a/b`)
    await disk.makeDirectory(`${at}/a/b`)
    await disk.writeAtomic(`${at}/a/b/f`, Buffer.from('x'))
    expect(await disk.list(at)).toEqual([{ name: 'a', kind: 'directory', bytes: 0 }])
    expect(await disk.exists(`${at}/a/b/f`)).toBe(true)
    await disk.remove(`${at}/a`)
    await disk.remove(`${at}/a`)
    expect(await disk.exists(`${at}/a/b/f`)).toBe(false)
  })

  it('fails with the code of the operating system', async () => {
    const { disk, at } = await open()
    for (const call of [
      () => disk.read(`${at}/none`),
      () => disk.list(`${at}/none`),
      () => disk.writeAtomic(`${at}/none/f`, Buffer.from('x')),
    ]) {
      const error = await call().catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(DiskError)
      expect(error).toMatchObject({ code: 'ENOENT' })
    }
  })
})

describe('system ports', () => {
  it('leaves no temporary file behind a failed write', async () => {
    const at = mkdtempSync(join(root, 'disk-'))
    await systemDisk.makeDirectory(join(at, 'f', 'x'))
    await expect(systemDisk.writeAtomic(join(at, 'f'), Buffer.from('x'))).rejects.toThrow(DiskError)
    expect(readdirSync(at)).toEqual(['f'])
  })

  it('agrees with another process about the boot clock', () => {
    const url = new URL('./index.ts', import.meta.url).href
    const script = `import { systemClock } from '${url}'; console.log(systemClock.bootMs())`
    const before = systemClock.bootMs()
    const other = Number(execFileSync(process.execPath, ['--input-type=module', '-e', script]))
    const after = systemClock.bootMs()
    expect(other).toBeGreaterThan(before - 50)
    expect(other).toBeLessThan(after + 50)
  })

  it('has clocks that go on and a wall clock of this century', async () => {
    const [wall, monotonic] = [systemClock.wallMs(), systemClock.monotonicMs()]
    await systemTimers.sleep(5)
    expect(systemClock.monotonicMs() - monotonic).toBeGreaterThan(3)
    expect(wall).toBeGreaterThan(1_700_000_000_000)
  })

  it('stops a sleep on abort and a timer on cancel', async () => {
    const abort = new AbortController()
    const sleeping = systemTimers.sleep(3_600_000, abort.signal)
    abort.abort(new Error('enough'))
    await expect(sleeping).rejects.toThrow('enough')
    let rang = false
    systemTimers
      .after(0, () => {
        rang = true
      })
      .cancel()
    await systemTimers.sleep(10)
    expect(rang).toBe(false)
  })

  it('does not ring a timer of many weeks at once', async () => {
    let rang = false
    const timer = systemTimers.after(2 ** 33, () => {
      rang = true
    })
    await systemTimers.sleep(10)
    timer.cancel()
    expect(rang).toBe(false)
  })

  it('draws floats in [0, 1) that differ', () => {
    const drawn = Array.from({ length: 1000 }, () => systemRandomness.float())
    expect(drawn.every((x) => x >= 0 && x < 1)).toBe(true)
    expect(new Set(drawn).size).toBe(1000)
    expect(systemRandomness.bytes(16)).toHaveLength(16)
  })
})
