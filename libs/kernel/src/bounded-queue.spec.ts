import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BoundedQueue, QueueClosedError } from './bounded-queue.ts'

describe('BoundedQueue', () => {
  it('refuses past its maximum and takes again when there is room', () => {
    const queue = new BoundedQueue<number>(2)
    expect([queue.push(1), queue.push(2), queue.push(3)]).toEqual([true, true, false])
    expect(queue.takeNow()).toBe(1)
    expect(queue.push(4)).toBe(true)
    expect(queue.drain()).toEqual([2, 4])
    expect(queue.takeNow()).toBeUndefined()
  })

  it('behaves like a plain bounded list', () => {
    const step = fc.oneof(fc.constant('take'), fc.constant('drain'), fc.integer())
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const queue = new BoundedQueue<number>(5)
        let list: number[] = []
        for (const each of steps) {
          if (each === 'take') expect(queue.takeNow()).toBe(list.shift())
          else if (each === 'drain') {
            expect(queue.drain(3)).toEqual(list.slice(0, 3))
            list = list.slice(3)
          } else {
            expect(queue.push(each as number)).toBe(list.length < 5)
            if (list.length < 5) list.push(each as number)
          }
          expect(queue.size).toBe(list.length)
        }
      }),
    )
  })

  it('hands an item to the taker that waited first', async () => {
    const queue = new BoundedQueue<number>(1)
    const takers = [queue.take(), queue.take()]
    queue.push(1)
    queue.push(2)
    expect(await Promise.all(takers)).toEqual([1, 2])
    expect(queue.size).toBe(0)
  })

  it('loses nothing when a waiting taker is aborted', async () => {
    const queue = new BoundedQueue<number>(1)
    const abort = new AbortController()
    const taker = queue.take(abort.signal)
    abort.abort(new Error('enough'))
    await expect(taker).rejects.toThrow('enough')
    queue.push(1)
    expect(await queue.take()).toBe(1)
    await expect(queue.take(abort.signal)).rejects.toThrow('enough')
  })

  it('gives what waits after close, then rejects', async () => {
    const queue = new BoundedQueue<number>(2)
    queue.push(1)
    queue.close()
    expect(queue.push(2)).toBe(false)
    expect(await queue.take()).toBe(1)
    await expect(queue.take()).rejects.toThrow(QueueClosedError)
  })

  it('rejects takers that wait when it is closed', async () => {
    const queue = new BoundedQueue<number>(2)
    const taker = queue.take()
    queue.close()
    await expect(taker).rejects.toThrow(QueueClosedError)
  })
})
