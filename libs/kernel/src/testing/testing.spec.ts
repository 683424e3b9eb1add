import { describe, expect, it } from 'vitest'
import { DiskError } from '../ports.ts'
import { Gate } from './gate.ts'
import { testPorts } from './ports.ts'
import { seededRandomness } from './random.ts'
import { VirtualTime } from './virtual-time.ts'

describe('seededRandomness', () => {
  it('repeats itself for a seed and differs between seeds', () => {
    const draw = (seed: number): number[] => {
      const randomness = seededRandomness(seed)
      return Array.from({ length: 8 }, () => randomness.float())
    }
    expect(draw(1)).toEqual(draw(1))
    expect(draw(1)).not.toEqual(draw(2))
  })

  it('is about uniform', () => {
    const randomness = seededRandomness(3)
    const counts = new Array<number>(10).fill(0)
    for (let n = 0; n < 100_000; n += 1) {
      const digit = randomness.int(10)
      counts[digit] = counts[digit]! + 1
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500)
    const mean = Array.from({ length: 10_000 }, () => randomness.float()).reduce((a, b) => a + b)
    expect(Math.abs(mean / 10_000 - 0.5)).toBeLessThan(0.02)
    expect(new Set(randomness.bytes(1000)).size).toBeGreaterThan(200)
  })
})

describe('VirtualTime', () => {
  it('runs what becomes due in order and nothing else', async () => {
    const time = new VirtualTime({ wallMs: 1000 })
    const seen: string[] = []
    time.after(20, () => seen.push(`b at ${time.monotonicMs()}`))
    time.after(10, () => {
      seen.push(`a at ${time.monotonicMs()}`)
      time.after(5, () => seen.push(`c at ${time.monotonicMs()}`))
    })
    time.after(11, () => seen.push('never')).cancel()
    time.after(31, () => seen.push('later'))
    await time.advance(30)
    expect(seen).toEqual(['a at 10', 'c at 15', 'b at 20'])
    expect(time.wallMs()).toBe(1030)
    expect(time.pending).toBe(1)
  })

  it('runs until a promise settles', async () => {
    const time = new VirtualTime()
    const work = async (): Promise<number> => {
      await time.sleep(1000)
      await time.yieldTurn()
      await time.sleep(500)
      return time.nowMs
    }
    expect(await time.run(work())).toBe(1500)
    await expect(time.run(new Promise(() => undefined))).rejects.toThrow('not settled')
    await expect(time.run(time.sleep(100), { limitMs: 50 })).rejects.toThrow('not settled')
  })

  it('rejects an aborted sleep and forgets it', async () => {
    const time = new VirtualTime()
    const abort = new AbortController()
    const sleeping = time.sleep(100, abort.signal)
    abort.abort(new Error('enough'))
    await expect(sleeping).rejects.toThrow('enough')
    expect(time.pending).toBe(0)
  })
})

describe('memoryDisk', () => {
  it('fails as it is told to, torn appends included', async () => {
    const { disk } = testPorts({ seed: 1 })
    await disk.makeDirectory('/a/b')
    disk.setFault((operation) => (operation === 'append' ? 'torn' : undefined))
    await expect(disk.append('/a/b/f', Buffer.from('1234'))).rejects.toMatchObject({
      code: 'ENOSPC',
    })
    disk.setFault(() => {
      throw new DiskError('EIO', '/a/b/f', 'bad sector')
    })
    await expect(disk.read('/a/b/f')).rejects.toThrow('bad sector')
    disk.setFault(undefined)
    expect(Buffer.from(await disk.read('/a/b/f')).toString()).toBe('12')
    disk.damage('/a/b/f', 0)
    expect(Buffer.from(await disk.read('/a/b/f')).toString()).toBe('02')
    disk.truncate('/a/b/f', 1)
    expect(Buffer.from(await disk.read('/a/b/f')).toString()).toBe('0')
  })
})

describe('Gate', () => {
  it('lets pass, holds in order, and is dead for ever', () => {
    const gate = new Gate()
    const seen: number[] = []
    gate.pass(() => seen.push(1))
    gate.shut()
    gate.pass(() => {
      seen.push(2)
      gate.shut()
    })
    gate.pass(() => seen.push(3))
    expect(seen).toEqual([1])
    gate.open()
    expect(seen).toEqual([1, 2])
    gate.open()
    expect(seen).toEqual([1, 2, 3])
    gate.shut()
    gate.pass(() => seen.push(4))
    gate.kill()
    gate.open()
    gate.pass(() => seen.push(5))
    expect(seen).toEqual([1, 2, 3])
  })
})
