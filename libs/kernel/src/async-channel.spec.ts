import { describe, expect, it } from 'vitest'
import { AsyncChannel } from './async-channel.ts'

async function collect<T>(channel: AsyncChannel<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of channel) items.push(item)
  return items
}

describe('AsyncChannel', () => {
  it('delivers what was pushed before and during the loop, in order', async () => {
    const channel = new AsyncChannel<number>({ max: 4 })
    channel.push(1)
    channel.push(2)
    const collected = collect(channel)
    await Promise.resolve()
    channel.push(3)
    channel.end()
    expect(await collected).toEqual([1, 2, 3])
    expect(channel.push(4)).toBe('closed')
  })

  it('answers overflow at its maximum and keeps what it has', async () => {
    const channel = new AsyncChannel<number>({ max: 2 })
    expect([1, 2, 3].map((n) => channel.push(n))).toEqual(['ok', 'ok', 'overflow'])
    channel.end()
    expect(await collect(channel)).toEqual([1, 2])
  })

  it('fails after what waits', async () => {
    const channel = new AsyncChannel<number>({ max: 2 })
    channel.push(1)
    channel.fail(new Error('too slow'))
    const seen: number[] = []
    await expect(async () => {
      for await (const n of channel) seen.push(n)
    }).rejects.toThrow('too slow')
    expect(seen).toEqual([1])
  })

  it('fails and ends a consumer that waits', async () => {
    const failed = new AsyncChannel<number>({ max: 2 })
    const failing = collect(failed)
    failed.fail(new Error('gone'))
    await expect(failing).rejects.toThrow('gone')
    const ended = new AsyncChannel<number>({ max: 2 })
    const ending = collect(ended)
    ended.end()
    expect(await ending).toEqual([])
  })

  it('tells the producer when the consumer leaves', async () => {
    let left = 0
    const onClose = (): void => {
      left += 1
    }
    const channel = new AsyncChannel<number>({ max: 4, onClose })
    channel.push(1)
    channel.push(2)
    for await (const _ of channel) break
    expect(left).toBe(1)
    expect(channel.closed).toBe(true)
    expect(channel.push(3)).toBe('closed')
  })
})
