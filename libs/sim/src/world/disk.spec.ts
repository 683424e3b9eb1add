import { openSnapshotDirectory } from '@serverless-ai/eventlog'
import type { Disk } from '@serverless-ai/kernel'
import { describe, expect, it } from 'vitest'
import { createWorld } from './index.ts'
import type { Machine, SimProcess, World } from './types.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text)

/** A machine with one process whose disk the test uses. */
async function open(seed = 1): Promise<{
  world: World
  machine: Machine
  process: SimProcess
  disk: () => Disk
}> {
  const world = createWorld({ seed })
  const machine = world.machine('m')
  let disk: Disk | undefined
  const process = machine.process('p', ({ ports }) => {
    disk = ports.disk
    return { stop: async () => undefined }
  })
  process.start()
  await world.time.runUntil(1)
  return { world, machine, process, disk: () => disk! }
}

const textOf = (machine: Machine, path: string): string =>
  Buffer.from(machine.disk.files.get(path) ?? bytes('(none)')).toString()

describe('the disk of a machine', () => {
  it('keeps at a power loss what was synced, and nothing else', async () => {
    const { machine, process, disk } = await open()
    await disk().append('/synced', bytes('a'), { sync: true })
    await disk().append('/synced', bytes('b'))
    await disk().append('/new', bytes('c'))
    await disk().append('/both', bytes('d'))
    await disk().append('/both', bytes('e'), { sync: true })
    await disk().writeAtomic('/atomic', bytes('f'))
    process.kill()
    expect(textOf(machine, '/synced')).toBe('ab')
    machine.powerOff()
    expect(textOf(machine, '/synced')).toBe('a')
    expect(textOf(machine, '/new')).toBe('(none)')
    expect(textOf(machine, '/both')).toBe('de')
    expect(textOf(machine, '/atomic')).toBe('f')
  })

  it('tears what was not synced anywhere', async () => {
    const kept = new Set<number>()
    for (let seed = 1; seed <= 40; seed += 1) {
      const { machine, disk } = await open(seed)
      machine.setDiskFaults({ tornShare: 1 })
      await disk().append('/f', bytes('12'), { sync: true })
      await disk().append('/f', bytes('3456'))
      machine.powerOff()
      kept.add(textOf(machine, '/f').length)
    }
    expect([...kept].sort()).toEqual([2, 3, 4, 5, 6])
  })

  it('fails with EIO, is full with ENOSPC, and takes its time', async () => {
    const { world, machine, disk } = await open()
    await disk().append('/f', bytes('1234'))
    machine.setDiskFaults({ failShare: 1 })
    await expect(disk().read('/f')).rejects.toMatchObject({ code: 'EIO', path: '/f' })
    const sizes = new Set<number>()
    machine.setDiskFaults({ full: true })
    for (let n = 0; n < 20; n += 1) {
      const before = textOf(machine, '/f').length
      await expect(disk().append('/f', bytes('56'))).rejects.toMatchObject({ code: 'ENOSPC' })
      sizes.add(textOf(machine, '/f').length - before)
    }
    expect([...sizes].sort()).toEqual([0, 1])
    await expect(disk().writeAtomic('/g', bytes('5'))).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(textOf(machine, '/g')).toBe('(none)')
    expect((await disk().read('/f')).byteLength).toBeGreaterThanOrEqual(4)
    machine.setDiskFaults({ delayMs: [5, 5] })
    let readAt = 0
    void disk()
      .read('/f')
      .then(() => {
        readAt = world.time.nowMs
      })
    await world.time.runUntil(20)
    expect(readAt).toBe(6)
  })

  it('has begun or not begun a write that a kill cuts off', async () => {
    const outcomes = new Set<string>()
    for (let seed = 1; seed <= 20; seed += 1) {
      const { world, machine, process, disk } = await open(seed)
      machine.setDiskFaults({ delayMs: [5, 5] })
      void disk().writeAtomic('/f', bytes('new'))
      await world.time.runUntil(3)
      process.kill()
      outcomes.add(textOf(machine, '/f'))
      await world.time.runUntil(100)
      outcomes.add(textOf(machine, '/f'))
    }
    expect([...outcomes].sort()).toEqual(['(none)', 'new'])
  })

  it('leaves half a snapshot or a damaged one, which nobody takes for whole', async () => {
    let damaged = 0
    for (let seed = 1; seed <= 20; seed += 1) {
      const { world, machine, process, disk } = await open(seed)
      const address = { topic: 't', partition: 0 }
      const randomness = world.random
      const shelf = () =>
        openSnapshotDirectory({
          directory: '/s',
          ports: { disk: disk(), randomness },
          chunkBytes: 4,
        })
      const put = (position: number, content: string) =>
        shelf().put(address, { position, schemaVersion: 1, content: bytes(content) })
      await put(1, 'the first one')
      await put(2, 'the second one')
      machine.setDiskFaults({ tornShare: 1 })
      machine.powerOff()
      machine.setDiskFaults(undefined)
      process.start()
      await world.time.runUntil(2)
      const contents = await Promise.all(
        (await shelf().list(address)).map(({ name }) => shelf().get(address, name)),
      )
      const found = contents.map((each) => each && Buffer.from(each).toString())
      expect(found.at(-1)).toBe('the first one')
      for (const each of found.slice(0, -1)) expect([undefined, 'the second one']).toContain(each)
      if (!found.includes('the second one')) damaged += 1
    }
    expect(damaged).toBe(20)
  })

  it('has troubles of the store of all for one process alone, and counts them', async () => {
    const world = createWorld({ seed: 1 })
    const disks = new Map<string, Disk>()
    for (const name of ['a', 'b']) {
      const process = world.machine(name).process(name, ({ sharedDisk }) => {
        disks.set(name, sharedDisk)
        return { stop: async () => undefined }
      })
      process.start()
    }
    await world.time.runUntil(1)
    await disks.get('b')!.writeAtomic('/s', bytes('b'))
    world.process('a')!.setSharedDiskFaults({ failShare: 1 })
    await expect(disks.get('a')!.read('/s')).rejects.toMatchObject({ code: 'EIO' })
    world.process('a')!.setSharedDiskFaults({ full: true })
    await expect(disks.get('a')!.writeAtomic('/s', bytes('a'))).rejects.toMatchObject({
      code: 'ENOSPC',
    })
    expect(Buffer.from(await disks.get('b')!.read('/s')).toString()).toBe('b')
    world.process('a')!.setSharedDiskFaults(undefined)
    expect(Buffer.from(await disks.get('a')!.read('/s')).toString()).toBe('b')
    expect(world.diskTroubles).toEqual({ 'shared failed': 1, 'shared full': 1 })
  })

  it('damages what was written last at a loss of power, of one snapshot only', async () => {
    const world = createWorld({ seed: 1 })
    const disks = new Map<string, Disk>()
    for (const name of ['a', 'b', 'c']) {
      const process = world.machine(name).process(name, ({ sharedDisk }) => {
        disks.set(name, sharedDisk)
        return { stop: async () => undefined }
      })
      process.start()
    }
    await world.time.runUntil(1)
    const chunks = { a: '/s/log/0/1-a/chunk-000', b: '/s/log/0/2-b/chunk-000' }
    for (const [name, path] of Object.entries(chunks)) {
      await disks.get(name)!.makeDirectory(path.slice(0, path.lastIndexOf('/')))
      await disks.get(name)!.writeAtomic(path, bytes('whole'))
    }
    const shown = () =>
      Promise.all(
        Object.values(chunks).map(async (path) => {
          return Buffer.from(await disks.get('c')!.read(path)).toString()
        }),
      )
    world.machine('a').powerOff(1)
    const after = await shown()
    expect([after[0] === 'whole', after[1]]).toEqual([false, 'whole'])
    world.machine('b').powerOff(1)
    expect(await shown()).toEqual(after)
    expect(world.diskTroubles).toEqual({ 'shared damaged': 1 })
  })

  it('gives all processes the same store beside their own', async () => {
    const world = createWorld({ seed: 1 })
    const seen: string[] = []
    for (const name of ['a', 'b']) {
      const process = world.machine(name).process(name, ({ sharedDisk }) => {
        void (async () => {
          await sharedDisk.append('/s', bytes(name))
          seen.push(Buffer.from(await sharedDisk.read('/s')).toString())
        })()
        return { stop: async () => undefined }
      })
      process.start()
      await world.time.runUntil(world.time.nowMs + 1)
      world.machine(name).powerOff()
    }
    expect(seen).toEqual(['a', 'ab'])
  })
})
